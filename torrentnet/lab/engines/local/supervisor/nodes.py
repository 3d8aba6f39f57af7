"""The nodes of a lab, in its keeper: their programs, the commands beside these, what they print and how they live."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from torrentnet.lab.engines.local import protocol
from torrentnet.lab.engines.local.supervisor.bridge import SBIN, Bridge, BridgePort
from torrentnet.lab.engines.local.supervisor.journal import JournalEntry, OutputLineSplitter
from torrentnet.lab.engines.local.supervisor.preload import preload_programs
from torrentnet.lab.engines.local.supervisor.request_server import RequestRejectedError
from torrentnet.lab.engines.local.supervisor.sandbox_root import DATA, FILES, LANGUAGE, RUN, Sandbox, build_root
from torrentnet.lab.engines.local.supervisor.spawner import ProcessSpec, Spawner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torrentnet.lab.engines.local.protocol import SupervisedLab, SupervisedNode
    from torrentnet.lab.engines.local.supervisor.event_loop import EventLoop

STOP_GRACE = 5.0
"""As in docker-compose.yml."""
UNPLUG_DELAY = 0.15
"""After a node's end its kernel still sends what was in its sockets; so long a container's network lives on, too."""
READ_SIZE = 64 * 1024
MAX_FINAL_READ = 1 << 20
"""Of what a node printed before its end."""
CREATED, RUNNING, PAUSED, EXITED = "created", "running", "paused", "exited"
ALIVE = (RUNNING, PAUSED)
MODE = 0o700


@dataclass(slots=True)
class _Node:
    kept: SupervisedNode
    environment: dict[str, str]
    status: str = CREATED
    exit_code: int | None = None
    pid: int = 0
    output: int = -1
    lines: OutputLineSplitter = field(default_factory=OutputLineSplitter)
    port: BridgePort | None = None
    view: Sandbox | None = None
    waiting: list[Callable[[], None]] = field(default_factory=list)
    """Called when it has ended."""


@dataclass(slots=True)
class _Command:
    """A program beside a node's own."""

    node: _Node
    ended: Callable[[int], None]


class NodeProcesses:
    """All of them. What is asked for by a name raises KeyError where there is no such node, Refused, or OSError."""

    def __init__(
        self, lab: SupervisedLab, directory: Path, loop: EventLoop, note: Callable[[list[JournalEntry]], None]
    ) -> None:
        """``note`` writes down what nodes print and how they live. Raises OSError where something is not allowed."""
        self._lab = lab
        self._directory = directory
        self._loop = loop
        self._note = note
        self._commands: dict[int, _Command] = {}
        self._hub: Bridge | None = None
        self._root = ""
        self._ending: Callable[[], None] | None = None
        if lab.network == protocol.NAMESPACES:
            self._root = str(directory / protocol.ROOT)
            build_root(self._root)
            self._hub = Bridge(int(lab.subnet.partition("/")[2]))
        self._spawner = Spawner()
        self._loaded = preload_programs(Path(lab.root))
        self._all: dict[str, _Node] = {}
        for node in lab.nodes:
            (directory / node.name).mkdir(MODE, exist_ok=True)
            self._all[node.name] = _Node(node, self._environment(node))

    def _environment(self, node: SupervisedNode) -> dict[str, str]:
        own = RUN if self._root else str(self._directory / node.name)
        gate = {"TORRENTNET_GATE": self._lab.gate} if self._lab.gate else {}
        return gate | {
            "PATH": os.pathsep.join([self._lab.bin, self._lab.path, SBIN]),
            "HOME": DATA if self._root else node.data,
            "LANG": LANGUAGE,
            "PYTHONPATH": self._lab.root,
            "PYTHONSAFEPATH": "1",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "TORRENTNET_CONSOLE": f"{own}/{protocol.CONSOLE}",
            "XTABLES_LOCKFILE": f"{own}/xtables.lock",
        }

    # ── what is asked for ────────────────────────────────────────────────────────────────────────────────────

    def states(self) -> dict[str, tuple[str, int | None]]:
        """How each node lives, and its exit status once it has one."""
        return {name: (node.status, node.exit_code) for name, node in self._all.items()}

    def start(self, name: str) -> None:
        """Start a node that does not live."""
        node = self._all[name]
        if node.status in ALIVE:
            raise RequestRejectedError(f"the node is {node.status}")
        self._unplug(node)
        # What a killed program has left there is nobody's.
        (self._directory / name / protocol.CONSOLE).unlink(missing_ok=True)
        port = self._hub.plug(node.kept.address) if self._hub is not None else None
        view = self._view(node, port)
        heard, tell = os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        began = time.time()
        try:
            pid = self._spawner.node(self._program(node, node.kept.argv, (nothing, tell, tell)), view)
        except BaseException:
            os.close(heard)
            if port is not None and self._hub is not None:
                self._hub.unplug(port)
            raise
        finally:
            os.close(nothing)
            os.close(tell)
        os.set_blocking(heard, False)
        node.pid, node.output, node.port, node.view = pid, heard, port, view
        node.lines = OutputLineSplitter()
        self._change(node, RUNNING, began)
        self._loop.wait_at(heard, lambda _: self._read(node))

    def kill(self, name: str, ended: Callable[[], None]) -> None:
        """End a node; ``ended`` is called when it has."""
        node = self._living(name)
        os.kill(node.pid, signal.SIGKILL)
        node.waiting.append(ended)

    def stop(self, name: str, ended: Callable[[], None]) -> None:
        """Let a node end in order; one that does not is killed after a grace."""
        node = self._living(name)
        os.kill(node.pid, signal.SIGTERM)
        # A frozen program cannot say good-bye.
        os.kill(node.pid, signal.SIGCONT)
        node.waiting.append(ended)
        self._loop.after(STOP_GRACE, partial(self._kill, node, node.pid))

    def pause(self, name: str) -> None:
        """Freeze a node."""
        node = self._living(name)
        os.kill(node.pid, signal.SIGSTOP)
        self._change(node, PAUSED)

    def resume(self, name: str) -> None:
        """Let it go on."""
        node = self._living(name)
        os.kill(node.pid, signal.SIGCONT)
        self._change(node, RUNNING)

    def run(
        self, name: str, argv: Sequence[str], streams: Sequence[int], ended: Callable[[int], None], *, root: bool
    ) -> Callable[[], None]:
        """Run a command in a node; ``ended`` is called with its exit status. Answers with what ends it early."""
        if len(streams) != 3:
            raise RequestRejectedError("a command needs three streams")
        node = self._all[name]
        if node.status == PAUSED and not root:
            raise RequestRejectedError("the node is paused")
        if node.status not in ALIVE or node.view is None:
            raise RequestRejectedError("the node is not running")
        program = self._program(node, argv, (streams[0], streams[1], streams[2]), root=root)
        try:
            pid = self._spawner.beside(program, node.pid, node.view)
        except FileNotFoundError:
            raise RequestRejectedError("the node is not running") from None
        self._commands[pid] = _Command(node, ended)
        return partial(self._break_off, pid)

    def end(self, over: Callable[[], None]) -> None:
        """End everything; ``over`` is called when no node lives any more."""
        self._ending = over
        for pid in list(self._commands):
            self._break_off(pid)
        for node in self._all.values():
            if node.status in ALIVE:
                os.kill(node.pid, signal.SIGKILL)
        self._end_if_over()

    # ── how it is done ───────────────────────────────────────────────────────────────────────────────────────

    def _living(self, name: str) -> _Node:
        node = self._all[name]
        if node.status not in ALIVE:
            raise RequestRejectedError(f"the node is {node.status}")
        return node

    def _program(
        self, node: _Node, argv: Sequence[str], streams: tuple[int, int, int], *, root: bool = False
    ) -> ProcessSpec:
        return ProcessSpec(argv, node.environment, streams, root, self._loaded.get(argv[0]) if argv else None)

    def _view(self, node: _Node, port: BridgePort | None) -> Sandbox:
        if port is None:
            return Sandbox(node.kept.data)
        binds = {RUN: str(self._directory / node.kept.name)}
        if self._lab.files:
            binds[FILES] = self._lab.files
        if node.kept.disk is None:
            binds[DATA] = node.kept.data
        return Sandbox(
            DATA,
            root=self._root,
            binds=binds,
            read_only=(FILES,),
            disk=node.kept.disk,
            host_name=node.kept.name,
            network=port.namespace,
        )

    def _kill(self, node: _Node, pid: int) -> None:
        if node.pid == pid and node.status in ALIVE:
            os.kill(pid, signal.SIGKILL)

    def _break_off(self, pid: int) -> None:
        if pid in self._commands:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    # ── what happens to nodes ────────────────────────────────────────────────────────────────────────────────

    def reaped(self, pid: int, code: int) -> None:
        """A child of the keeper has ended."""
        command = self._commands.pop(pid, None)
        if command is not None:
            command.ended(code)
            return
        for node in self._all.values():
            if node.pid == pid:
                self._ended(node, code)

    def _read(self, node: _Node) -> None:
        if self._read_some(node) is None:
            self._close_output(node)

    def _read_some(self, node: _Node) -> int | None:
        """Take what the node has printed; answers with its length, None at the stream's end."""
        try:
            data = os.read(node.output, READ_SIZE)
        except BlockingIOError:
            return 0
        except OSError:
            data = b""
        self._say(node, node.lines.feed(data) if data else node.lines.end())
        return len(data) or None

    def _say(self, node: _Node, lines: list[str]) -> None:
        if lines:
            now = time.time()
            self._note([JournalEntry(node.kept.name, now, line) for line in lines])

    def _close_output(self, node: _Node) -> None:
        if node.output >= 0:
            self._loop.forget(node.output)
            os.close(node.output)
            node.output = -1

    def _ended(self, node: _Node, code: int) -> None:
        # What it said before it ended comes first. A child of its own may hold the stream: do not wait for its end.
        taken = 0
        while node.output >= 0 and taken < MAX_FINAL_READ:
            read = self._read_some(node)
            if read is None:
                self._close_output(node)
            elif read == 0:
                break
            else:
                taken += read
        self._say(node, node.lines.end())
        self._close_output(node)
        node.pid = 0
        self._change(node, EXITED, code=code)
        for pid, command in list(self._commands.items()):
            if command.node is node:
                self._break_off(pid)
        waiting, node.waiting = node.waiting, []
        for tell in waiting:
            tell()
        if self._ending is None:
            self._loop.after(UNPLUG_DELAY, partial(self._unplug, node, node.port))
        self._end_if_over()

    def _unplug(self, node: _Node, port: BridgePort | None = None) -> None:
        """Take the node's network away; where a port is given, only if that is its network still."""
        mine = node.port
        if mine is None or self._hub is None or self._ending is not None or port not in (None, mine):
            return
        node.port = None
        self._hub.unplug(mine)

    def _change(self, node: _Node, status: str, at: float | None = None, code: int | None = None) -> None:
        node.status, node.exit_code = status, code
        self._note([JournalEntry(node.kept.name, time.time() if at is None else at, None, status, code)])

    def _end_if_over(self) -> None:
        if self._ending is not None and not any(node.status in ALIVE for node in self._all.values()):
            self._ending()
