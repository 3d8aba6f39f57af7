"""Writing report.html into a run's record, at the end of a run or on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.lab.errors import LabError
from torrentnet.lab.paths import relative_to_home, write_atomically
from torrentnet.runtime.text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAGE_FILE: Final = "report.html"
COMPARISON_FILE: Final = "comparison.html"


def write_page(record: Path, target: Path | None = None, against: Path | None = None) -> Path:
    """Write the page of a run's record, and return its path.

    ``against`` is the record of another run on the same clock. Raises LabError for a directory that is no record, and
    OSError.
    """
    # Jinja and the templates are imported by whoever writes a page, not by every command.
    from torrentnet.lab.report.page import report_page
    from torrentnet.lab.report.run_document import run_document

    other = None if against is None else run_document(against)
    page = report_page(run_document(record), other)
    target = target or record / (PAGE_FILE if against is None else COMPARISON_FILE)
    write_atomically(target, page)
    return target


def add_page(
    record: Path,
    home: Path,
    print_line: Callable[[str], None],
    *,
    quiet: bool = False,
    write: Callable[[Path], Path] = write_page,
) -> None:
    """Write the page at the end of a run, and say where it is.

    Whatever goes wrong is said in one line: the verdict and the lab's removal do not depend on a page. With ``quiet``
    only that is said.
    """
    try:
        target = write(record)
    except (LabError, OSError) as error:
        reason = error.message if isinstance(error, LabError) else f"{error.strerror or error}: {record / PAGE_FILE}"
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    else:
        if not quiet:
            print_line(f"report: {relative_to_home(target, home)}")
        return
    first = escape_controls((reason.splitlines() or [""])[0])
    print_line(f"no report was written: {first}; the verdict stands, `torrentnet report` tries again")
