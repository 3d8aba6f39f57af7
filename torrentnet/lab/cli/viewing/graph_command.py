"""The command ``graph``: a picture of a scenario's network, or of a run's.

Tested by tests/unit/lab/cli/viewing/test_graph_command.py.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.lab.cli.viewing.report_command import find_record, newest_record
from torrentnet.lab.errors import UsageError
from torrentnet.lab.paths import lab_home, scenarios_folder, write_atomically
from torrentnet.lab.report.graph.dot import dot
from torrentnet.lab.report.graph.json_document import json_document
from torrentnet.lab.report.graph.mermaid import mermaid
from torrentnet.lab.report.graph.planned import plan_graph
from torrentnet.lab.report.graph.recorded import record_graph
from torrentnet.lab.report.graph.svg import svg
from torrentnet.lab.report.run_document import EVENTS_FILE, PLAN_FILE, RESULT_FILE
from torrentnet.lab.run.recorder import LATEST
from torrentnet.lab.scenario.language.scalars import parse_duration
from torrentnet.lab.scenario.load import find_plan, parse_settings
from torrentnet.runtime.process import EXIT_OK
from torrentnet.runtime.suggestions import closest
from torrentnet.runtime.units import UnitError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torrentnet.lab.report.graph.network_graph import NetworkGraph

FORMATS: Final[dict[str, Callable[[NetworkGraph], str]]] = {
    "mermaid": mermaid,
    "dot": dot,
    "svg": svg,
    "json": json_document,
}
SUFFIXES: Final = {
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".dot": "dot",
    ".gv": "dot",
    ".svg": "svg",
    ".json": "json",
}


def graph(
    target: str | None,
    *,
    form: str | None,
    out: Path | None,
    at: str | None,
    settings: Sequence[str],
    runs: Path | None,
) -> int:
    """Draw the network of a scenario, of a run as planned, or of a run at a moment.

    ``target`` is a scenario's name or file, or the directory of a record; None for the last run. With ``at`` a
    scenario's name means its last run.
    """
    render = _render(form, out)
    folder = runs or lab_home() / "runs"
    moment = None if at is None else _moment(at)
    if target is None:
        found = record_graph(newest_record(folder), moment)
    elif moment is not None or _is_record(Path(target)):
        if settings:
            raise UsageError("`--set` changes a scenario, not a run that has been", hint="leave out `--set`")
        found = record_graph(find_record(target, folder), moment)
    else:
        found = plan_graph(find_plan(target, scenarios_folder(), parse_settings(settings)))
    text = render(found)
    if out is None or str(out) == "-":
        sys.stdout.write(text)
    else:
        write_atomically(out, text)
    return EXIT_OK


def _moment(text: str) -> float:
    try:
        return parse_duration(text)
    except UnitError as error:
        raise UsageError(f"--at: {error.text}", hint=error.hint) from None


def _is_record(path: Path) -> bool:
    """Return whether a path is that of a record, or of a file in one."""
    if path.is_file() and path.suffix not in {".yaml", ".yml"}:
        path = path.parent
    folders = (path, path / LATEST)
    return any((folder / name).is_file() for folder in folders for name in (RESULT_FILE, PLAN_FILE, EVENTS_FILE))


def _render(form: str | None, out: Path | None) -> Callable[[NetworkGraph], str]:
    """Return the function for the named format, or for that of the file's name."""
    if form is None:
        form = SUFFIXES.get(out.suffix.lower(), "mermaid") if out is not None else "mermaid"
    if form not in FORMATS:
        close = closest(form, FORMATS)
        meant = f"did you mean `{close}`? " if close else ""
        raise UsageError(f"there is no format `{form}`", hint=f"{meant}the formats are {', '.join(FORMATS)}")
    return FORMATS[form]
