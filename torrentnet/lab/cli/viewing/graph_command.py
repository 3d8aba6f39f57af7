"""The command ``graph``: a picture of a scenario's network, or of a run's.

Tested by tests/unit/lab/cli/viewing/test_graph_command.py.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from torrentnet.lab.errors import UsageError
from torrentnet.lab.paths import scenarios_folder, write_atomically
from torrentnet.lab.report.graph.dot import dot
from torrentnet.lab.report.graph.json_document import json_document
from torrentnet.lab.report.graph.mermaid import mermaid
from torrentnet.lab.report.graph.planned import plan_graph
from torrentnet.lab.report.graph.svg import svg
from torrentnet.lab.scenario.load import find_plan, parse_settings
from torrentnet.runtime.process import EXIT_OK
from torrentnet.runtime.suggestions import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

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


def graph(scenario: str, *, form: str | None, out: Path | None, settings: Sequence[str]) -> int:
    """Draw the network of a scenario."""
    render = _render(form, out)
    plan = find_plan(scenario, scenarios_folder(), parse_settings(settings))
    text = render(plan_graph(plan))
    if out is None or str(out) == "-":
        sys.stdout.write(text)
    else:
        write_atomically(out, text)
    return EXIT_OK


def _render(form: str | None, out: Path | None) -> Callable[[NetworkGraph], str]:
    """Return the function for the named format, or for that of the file's name."""
    if form is None:
        form = SUFFIXES.get(out.suffix.lower(), "mermaid") if out is not None else "mermaid"
    if form not in FORMATS:
        close = closest(form, FORMATS)
        meant = f"did you mean `{close}`? " if close else ""
        raise UsageError(f"there is no format `{form}`", hint=f"{meant}the formats are {', '.join(FORMATS)}")
    return FORMATS[form]
