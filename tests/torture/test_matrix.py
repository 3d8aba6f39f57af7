"""Whatever fails around a lab, nothing is left and no verdict changes."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.integration.engines import DOCKER, LOCAL, need
from tests.integration.helpers import is_record
from tests.torture.cells import CELLS
from tests.torture.proxy import EngineProxy
from tests.torture.torture import SCENARIO, Cell, Place, Play, wait
from torrentnet.lab.engines.local import registry
from torrentnet.lab.engines.owner import Life

if TYPE_CHECKING:
    from collections.abc import Callable

PARAMETERS = [
    pytest.param(
        cell,
        id=cell.id,
        marks=[
            *([] if cell.sample else [pytest.mark.torture]),
            *([pytest.mark.docker] if cell.engine == "docker" else []),
        ],
    )
    for cell in CELLS
]


def _raised(output: str) -> bool:
    """Return whether a traceback is shown.

    A signal between open() and its `with` leaves a file to the interpreter, which warns of it only with `-W error`.
    """
    blocks = re.split(r"(?=^.*Exception ignored in: )", output, flags=re.MULTILINE)
    return any("Traceback" in block and "ResourceWarning: unclosed file" not in block for block in blocks)


@pytest.mark.parametrize("cell", PARAMETERS)
def test_nothing_is_left_and_the_verdict_is_right(
    cell: Cell,
    place: Place,
    neighbour: Callable[[Cell], Callable[[], bool]],
    prepare: Callable[[Cell, Place], Cell],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind = DOCKER if cell.engine == "docker" else LOCAL
    need(kind)
    unharmed = neighbour(cell)
    cell = prepare(cell, place)
    if cell.command in {"down", "logs", "watch"}:
        assert place.torrentnet(cell, "up", str(SCENARIO)).returncode == 0
    with contextlib.ExitStack() as stack:
        proxy = engine = None
        if "dockerd" in cell.action:
            engine = request.getfixturevalue("second")
            monkeypatch.setenv("DOCKER_HOST", engine.host)
        if "cut" in cell.action:
            proxy = EngineProxy(place.root / "docker.sock")
            stack.callback(proxy.close)
            cell = replace(cell, environment=(("DOCKER_HOST", f"unix://{place.root}/docker.sock"),))
        play = Play(cell, place, proxy, engine)
        play.act()
        status = play.finish()
    try:
        # A signal that comes before Python has loaded our first module is Python's to report.
        assert not _raised(play.output) or cell.phase == "start", play.output
        assert status is None or not cell.status or status in cell.status, play.output
        results = [json.loads(path.read_text(encoding="utf-8")) for path in place.results()]
        verdict = results[-1]["verdict"] if results else None
        assert verdict in (cell.verdict.split(" or ") if cell.verdict else [None]), play.output
        if cell.leaves_up and cell.engine == "local":
            assert any(play.owns(entry) and entry.supervisor_life is Life.ALIVE for entry in registry.labs())
        elif not cell.leaves_up:
            assert play.result["left"] == []
    finally:
        if cell.leaves_up or (cell.command == "down" and cell.action):
            place.torrentnet(cell, "down")
    wait(
        lambda: not kind.left_over(place.home),
        "the end of the lab",
        lambda: f"{kind.left_over(place.home)}\n{play.output}",
    )
    left = [str(path) for path in place.home.rglob("*") if not is_record(path, place.home)]
    assert left == []
    monkeypatch.undo()
    assert unharmed()
