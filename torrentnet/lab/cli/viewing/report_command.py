"""``torrentnet report``: write the page of a run that has ended, and open it.

The function returns an exit status.
"""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.lab.cli.output import print_json, printable
from torrentnet.lab.errors import UsageError
from torrentnet.lab.paths import lab_home, relative_to_home
from torrentnet.lab.report.sweep_page import SWEEP_FILE, write_sweep_page
from torrentnet.lab.report.write_page import write_page
from torrentnet.lab.run.recorder import LATEST
from torrentnet.runtime.process import EXIT_OK

if TYPE_CHECKING:
    from collections.abc import Iterator

SWEEPS: Final = "sweeps"
RUN_HINT: Final = "name a scenario that was run, or a directory: `torrentnet report runs/keepalive/latest`"


def report(
    run: str | None,
    *,
    out: Path | None,
    against: str | None,
    open_page: bool,
    runs: Path | None,
    as_json: bool,
) -> int:
    """Write the page of a run; without a name, of the newest one."""
    home = lab_home()
    folder = runs or home / "runs"
    record = find_record(run, folder) if run else newest_record(folder)
    other = find_record(against, folder) if against else None
    if out is not None and out.is_dir():
        raise UsageError(f"`-o {out}` is a directory", hint=f"name a file: `-o {out / 'report.html'}`")
    if (record / SWEEP_FILE).is_file():
        if other is not None:
            raise UsageError(f"{record} is a sweep", hint="`--against` compares two runs; name one run of the sweep")
        target = write_sweep_page(record, home, out).resolve()
    else:
        target = write_page(record, out, other).resolve()
    if as_json:
        print_json({"report": str(target), "record": str(record), "against": None if other is None else str(other)})
    else:
        print(f"report: {printable(relative_to_home(target, home))}")
    if open_page and not webbrowser.open(target.as_uri()):
        print(f"no browser was found; open {printable(target.as_uri())}")
    return EXIT_OK


def find_record(name: str, runs: Path) -> Path:
    """Return the record that a name means.

    The name is that of a directory, of a file in one, or of a scenario, whose last run is meant. Raises UsageError.
    """
    path = Path(name)
    if path.is_dir():
        return (path / LATEST if (path / LATEST).is_dir() else path).resolve()
    if path.is_file() and path.suffix not in {".yaml", ".yml"}:
        return path.resolve().parent
    scenario = path.stem if path.suffix in {".yaml", ".yml"} else name
    for folder in (runs, runs / SWEEPS):
        if scenario not in {"", ".", ".."} and "/" not in scenario and (folder / scenario / LATEST).is_dir():
            return (folder / scenario / LATEST).resolve()
    raise UsageError(f"there is no record of a run `{name}` in {runs}", hint=RUN_HINT)


def newest_record(runs: Path) -> Path:
    """Return the record of the last run or sweep.

    Raises UsageError where there is none.
    """
    found = max(_records(runs), key=lambda record: (record.name, record.stat().st_mtime), default=None)
    if found is None:
        raise UsageError(f"there is no run in {runs}", hint="run a scenario first: `torrentnet run three_seeders`")
    return found.resolve()


def _records(runs: Path) -> Iterator[Path]:
    for latest in (*runs.glob(f"*/{LATEST}"), *runs.glob(f"{SWEEPS}/*/{LATEST}")):
        if latest.is_dir():
            yield latest.resolve()
