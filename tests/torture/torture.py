"""One cell of the matrix: a command, what is done to it, what must be true."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import docker
from tests.torture.warden import command_line, descendants
from torrentnet.lab.engines.docker import labels
from torrentnet.lab.engines.local import registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.second_engine import SecondEngine
    from tests.torture.proxy import EngineProxy
    from torrentnet.lab.engines.local.registry import LabEntry

FOLDER: Final = Path(__file__).parent
SCENARIO: Final = FOLDER / "scenario.yaml"
WAIT: Final = 120.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell."""

    command: str
    """``run``, ``up``, ``down``, ``sweep``, ``logs`` or ``watch``."""
    what: str
    """What is done, in a few words."""
    engine: str = "local"
    redirect: str = ""
    """Behind the command: ``> /dev/full``."""
    sink: str = ""
    """Behind a pipe: ``head -3``."""
    before: str = ""
    """Shell commands before it: ``ulimit -n 64``."""
    scenario: str = "scenario.yaml"
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    starter: str = "exec"
    """How the shell starts it: ``exec``, or below ``make``."""
    pty: bool = False
    phase: str = ""
    """When the action happens: ``start``, ``create``, ``run`` or ``end``."""
    action: str = ""
    status: tuple[int, ...] = (0,)
    """The exit statuses that are right; none where nobody can learn it."""
    verdict: str | None = "passed"
    """In result.json, perhaps one of several (``a or b``); None where there is no such file."""
    sample: bool = False
    """Whether ``make test`` has it, too."""

    @property
    def leaves_up(self) -> bool:
        """Whether a lab is up afterwards."""
        return self.command in {"logs", "watch"} or (self.command == "up" and 0 in self.status)

    @property
    def id(self) -> str:
        """The cell's name in pytest."""
        where = f" in {self.phase}" if self.phase else ""
        return f"{self.engine}: {self.command}: {self.what}{where}"


@dataclass(slots=True)
class Place:
    """The directories of one cell."""

    root: Path

    @property
    def home(self) -> Path:
        """The lab's home."""
        return self.root / "home"

    def environment(self, cell: Cell) -> dict[str, str]:
        """Return the environment of all commands of a cell."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("COMPOSE_", "PYTEST_"))}
        own = {"TORRENTNET_HOME": str(self.home), "TORRENTNET_ENGINE": cell.engine}
        return kept | own | dict(cell.environment)

    def torrentnet(self, cell: Cell, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run the command line undisturbed."""
        environment = self.environment(cell) | {"PYTHONIOENCODING": "utf-8", "LC_ALL": "C.UTF-8"}
        command = [sys.executable, "-m", "torrentnet.lab", *argv]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=WAIT, check=False)

    def results(self) -> list[Path]:
        """Return the files with the results of runs, oldest first."""
        return sorted(path for path in self.root.rglob("result.json") if "latest" not in path.parts)

    def reached(self, phase: str) -> bool:
        """Return whether the command has come so far, by what it has written."""
        match phase:
            case "start":
                return True
            case "create":
                return any((self.home / ".torrentnet/labs").glob("*/lab.json"))
            case "run":
                records = self.root.rglob("events.jsonl")
                return any('"event": "zero"' in path.read_text(errors="replace") for path in records)
            case _:
                return bool(self.results())


def wait(true: Callable[[], bool], what: str, more: Callable[[], str] = str) -> None:
    """Wait until something is true; ``more`` explains why it is not."""
    deadline = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come: {more()}"
        time.sleep(0.01)


class Play:
    """The command of a cell, below a warden."""

    def __init__(
        self, cell: Cell, place: Place, proxy: EngineProxy | None = None, engine: SecondEngine | None = None
    ) -> None:
        self.cell = cell
        self.proxy = proxy
        self.engine = engine
        self._place = place
        self._pid_file = place.root / "pid"
        self._status_file = place.root / "status"
        self._output = place.root / "output"
        self._output.touch()
        kind = "pty" if cell.pty else "pipe"
        words = [sys.executable, "-m", "tests.torture.warden", kind, self._script(), str(self._pid_file)]
        self._warden = subprocess.Popen(
            [*words, str(self._output)],
            cwd=Path(__file__).parents[2],
            env=place.environment(cell),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.result: dict[str, Any] = {}

    def _script(self) -> str:
        cell = self.cell
        words = {"watch": ["status", "--watch"], "down": ["down"], "logs": ["logs"]}.get(cell.command)
        if words is None:
            words = [cell.command, str(FOLDER / cell.scenario)]
        if cell.command == "sweep":
            words += ["--grid", "leechers=2"]
        # The SDK leaves the sockets of an engine that has gone to the garbage collector.
        warnings = ["-W", "error", *(["-W", "ignore::ResourceWarning"] if "dockerd" in cell.action else [])]
        command = shlex.join([sys.executable, *warnings, "-m", "torrentnet.lab", *words, *cell.arguments])
        note = f"echo $BASHPID > {self._pid_file}"
        lab = f"( {note}; {cell.before or ':'}; exec {command} ) {cell.redirect}"
        if cell.starter == "make":
            makefile = self._place.root / "Makefile"
            makefile.write_text(f"all:\n\t@echo $$$$ > {self._pid_file}; exec {command}\n", encoding="utf-8")
            # Nothing but make remains of the shell: make leads the session.
            return f"exec make -f {makefile}"
        sink = f"| {cell.sink}" if cell.sink else ""
        return f"{lab} {sink}; echo ${{PIPESTATUS[0]}} > {self._status_file}"

    @property
    def pid(self) -> int:
        """The process id of the command."""
        wait(lambda: self._pid_file.exists() and self._pid_file.read_text().strip() != "", "the command's process")
        return int(self._pid_file.read_text())

    @property
    def output(self) -> str:
        """What the terminal or the pipe has received."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def order(self, word: str) -> None:
        """Send an order to the warden."""
        assert self._warden.stdin is not None
        self._warden.stdin.write(f"{word}\n")
        self._warden.stdin.flush()

    def act(self) -> None:
        """Do what the cell is about, in its phase."""
        cell, pid = self.cell, self.pid
        if cell.leaves_up:
            self.order("keep")
        if not cell.action:
            return
        wait(lambda: self._place.reached(cell.phase) or self._warden.poll() is not None, f"the phase {cell.phase}")
        if cell.command == "watch":
            # Its first threads: a signal that comes before is Python's to report.
            wait(lambda: len(os.listdir(f"/proc/{pid}/task")) > 1 or self._warden.poll() is not None, "its threads")
        for action in cell.action.split():
            match action:
                case "close" | "interrupt" | "kill":
                    self.order(action)
                case "SIGINT" | "SIGTERM" | "SIGHUP":
                    os.kill(pid, signal.Signals[action])
                case "stop":
                    os.kill(pid, signal.SIGSTOP)
                    time.sleep(2.5)
                    os.kill(pid, signal.SIGCONT)
                case "cut":
                    assert self.proxy is not None
                    self.proxy.cut()
                case "dockerd":
                    assert self.engine is not None
                    self.engine.end(signal.SIGTERM)
                    self.engine.start_again()
                case "dockerd-killed":
                    assert self.engine is not None
                    self.engine.end(signal.SIGKILL)
                    wait(lambda: "removing the lab" in self.output, "the end of the run")
                    self.engine.start_again()
                case "helpers":
                    assert self._kill_helpers()
                case "compose":
                    os.kill(self._compose(pid), signal.SIGKILL)
                case "rm":
                    # It fails where the lab writes a file at the same moment.
                    subprocess.run(["rm", "-rf", str(self._place.home / "runs")], check=False, capture_output=True)
                case "supervisor" | "nodes-parent":
                    found = next(entry for entry in registry.labs() if self.owns(entry))
                    assert found.supervisor is not None
                    supervisor = found.supervisor.pid
                    # With namespaces, the nodes' parent is the supervisor's child.
                    os.kill(supervisor if action == "supervisor" else descendants(supervisor)[0], signal.SIGKILL)
                case other:
                    raise ValueError(other)

    def _kill_helpers(self) -> int:
        """Kill the containers beside the nodes, and return their number."""
        with contextlib.closing(docker.from_env()) as client:
            mine = client.containers.list(filters={"label": f"{labels.HOME}={self._place.home}"})
            helpers = [one for one in mine if "com.docker.compose.service" not in one.labels]
            for one in helpers:
                os.kill(one.attrs["State"]["Pid"], signal.SIGKILL)
        return len(helpers)

    def _compose(self, pid: int) -> int:
        """Return the process `docker compose` of the command once it is there."""
        found: list[int] = []

        def look() -> bool:
            found.extend(one for one in descendants(pid) if "compose" in command_line(one).partition(" create")[0])
            return bool(found)

        wait(look, "docker compose")
        return found[0]

    def owns(self, entry: LabEntry) -> bool:
        """Return whether a lab belongs to this cell."""
        return entry.lab is not None and Path(entry.lab.home) == self._place.home

    def finish(self) -> int | None:
        """Wait for the end; return the exit status, or None where nobody has learnt it."""
        out, _ = self._warden.communicate(timeout=WAIT)
        self.result = json.loads(out)
        if self._status_file.exists() and (text := self._status_file.read_text().strip()):
            return int(text)
        statuses = self.result["statuses"]
        # The shell, or make, may have learnt it and died with it.
        found: int | None = statuses.get(str(self.pid))
        return found if found is None or found >= 0 else 128 - found
