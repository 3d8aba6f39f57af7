"""Places, a neighbour that nothing may touch, and the table of the matrix."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.helpers import SCENARIOS
from tests.integration.second_engine import BASE, SecondEngine, second_engine, why_missing
from tests.torture.torture import Cell, Place
from torrentnet.lab import paths
from torrentnet.lab.engines.local import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUNTIME = Path(f"/tmp/tt-{os.getpid()}")


@pytest.fixture(scope="module", autouse=True)
def runtime() -> Iterator[Path]:
    """The registry of these tests' own labs; empty at the end.

    Tests of other modules that this worker runs later have the usual one.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(paths.RUNTIME_VARIABLE, str(RUNTIME))
        yield RUNTIME
    left = [entry.name for entry in RUNTIME.iterdir() if entry.name != registry.LOCK] if RUNTIME.exists() else []
    shutil.rmtree(RUNTIME, ignore_errors=True)
    assert not left


@pytest.fixture
def place() -> Iterator[Place]:
    """The directories of a cell, at a short path."""
    with tempfile.TemporaryDirectory(prefix="tt-") as name:
        made = Place(Path(name))
        made.home.mkdir()
        yield made


@pytest.fixture(scope="module")
def neighbour(runtime: Path) -> Iterator[Callable[[Cell], Callable[[], bool]]]:
    """Somebody else's lab on an engine; says whether it is unharmed."""
    del runtime
    with contextlib.ExitStack() as stack:
        made: dict[str, Callable[[], bool]] = {}

        def of(cell: Cell) -> Callable[[], bool]:
            if cell.engine not in made:
                other = Place(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tt-"))))
                other.home.mkdir()
                own = Cell("up", "neighbour", engine=cell.engine)
                assert other.torrentnet(own, "up", str(SCENARIOS / "quick.yaml")).returncode == 0
                stack.callback(other.torrentnet, own, "down")
                made[cell.engine] = lambda: _is_unharmed(other, own)
            return made[cell.engine]

        yield of


def _is_unharmed(place: Place, cell: Cell) -> bool:
    answer = place.torrentnet(cell, "status", "--json")
    return answer.returncode == 0 and [row["state"] for row in json.loads(answer.stdout)["nodes"]] == ["running"] * 3


@pytest.fixture(scope="module")
def second() -> Iterator[SecondEngine]:
    """A Docker Engine that may be killed, with our base image."""
    if missing := why_missing():
        pytest.skip(missing)
    with second_engine() as engine:
        engine.copy_images(BASE)
        yield engine


@pytest.fixture(scope="session")
def locale(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The directory of an 8-bit locale `torture`; empty where none can be made."""
    folder = tmp_path_factory.mktemp("locale")
    command = ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(folder / "torture")]
    if shutil.which("localedef") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        return ""
    return str(folder)


@pytest.fixture
def prepare(request: pytest.FixtureRequest) -> Iterator[Callable[[Cell, Place], Cell]]:
    """Make what a cell needs of the machine: a locale, a disk that is full."""
    with contextlib.ExitStack() as stack:

        def made(cell: Cell, place: Place) -> Cell:
            if ("LC_ALL", "torture") in cell.environment:
                folder = request.getfixturevalue("locale")
                if not folder:
                    pytest.skip("needs localedef and the locale de_DE")
                cell = replace(cell, environment=(*cell.environment, ("LOCPATH", folder)))
            if "HOME_FULL" in cell.before:
                _mount(stack, place.home, 600)
                cell = replace(cell, before="")
            for word, free in (("FULL", 0), ("SMALL", 6)):
                if word in cell.arguments:
                    disk = place.root / "disk"
                    disk.mkdir()
                    _mount(stack, disk, 256)
                    (disk / "ballast").write_bytes(bytes((256 - free * 4) * 1024))
                    cell = replace(cell, arguments=("--runs", str(disk / "runs")))
            return cell

        yield made


def _mount(stack: contextlib.ExitStack, path: Path, kilobytes: int) -> None:
    if os.geteuid() != 0:
        pytest.skip("a disk of limited size needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "torture", str(path)], check=True)
    stack.callback(subprocess.run, ["umount", str(path)], check=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the matrix."""
    words = {"passed": "ok", "failed": "FAILED", "skipped": "skipped", "error": "ERROR"}
    rows: list[tuple[str, str]] = []
    for outcome, word in words.items():
        for report in terminalreporter.stats.get(outcome, []):
            node = getattr(report, "nodeid", "")
            if "tests/torture/test_matrix.py" in node and (outcome != "passed" or report.when == "call"):
                rows.append((node.partition("[")[2].rstrip("]"), f"{word} ({report.duration:.1f} s)"))
    if len(rows) > 1:
        terminalreporter.section("torture")
        terminalreporter.write_line("| engine | command | what | result |\n| --- | --- | --- | --- |")
        for name, result in sorted(rows):
            cells = [cell.strip().replace("|", "\\|") for cell in name.split(": ", 2)]
            terminalreporter.write_line(f"| {' | '.join([*cells, result])} |")
