"""The process that owns a lab's nodes: ``python3 -m torrentnet.lab.engines.local.keeper DIRECTORY LIFELINE READY``.

It starts the nodes, hears what they print and how they end, and does what the lab asks for (see ``protocol``). It
ends when it is told to, or, unless the lab was released, when the lifeline does: a descriptor whose other end the lab
holds, so that the kernel closes it whatever the lab dies of. And when the keeper ends, whatever it dies of, the kernel
ends each of its children, and with a node everything that the node has started.

One thread, one loop; nothing in it waits, but for the start of a program.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import selectors
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from torrentnet.lab.engines.local import protocol
from torrentnet.lab.engines.local.hub import SBIN, Hub, Port
from torrentnet.lab.engines.local.journal import Entry, Journal, LineCutter
from torrentnet.lab.engines.local.programs import load
from torrentnet.lab.engines.local.protocol import KeptLab, KeptNode
from torrentnet.lab.engines.local.spawn import (
    DATA,
    FILES,
    LANGUAGE,
    RUN,
    Program,
    Spawner,
    View,
    enter_namespaces,
    lay_root,
)
from torrentnet.lab.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STOP_GRACE_S = 5.0
"""As in docker-compose.yml."""
UNPLUG_S = 0.15
"""After a node's end its kernel still sends what was in its sockets; so long a container's network lives on, too."""
READ = 64 * 1024
READ_MOST = 1 << 20
"""Of what a node printed before its end."""
CREATED, RUNNING, PAUSED, EXITED = "created", "running", "paused", "exited"
LIVING = (RUNNING, PAUSED)
CONNECTIONS = 512
MODE = 0o700

Answer = dict[str, Any]


@dataclass(slots=True)
class _Node:
    kept: KeptNode
    environment: dict[str, str]
    status: str = CREATED
    exit_code: int | None = None
    pid: int = 0
    output: int = -1
    lines: LineCutter = field(default_factory=LineCutter)
    port: Port | None = None
    view: View | None = None
    waiting: list[_Caller] = field(default_factory=list)
    """Who is told when it has ended."""


@dataclass(slots=True, eq=False)
class _Caller:
    """A connection."""

    socket: socket.socket
    heard: bool = False
    command: int = 0
    """The process id of what it has asked to run."""
    node: str = ""
    offset: int | None = None
    """How much of the journal it was sent; None where it did not ask for that."""
    writing: bool = False


class Refused(Exception):
    """A request that cannot be done, in words for a person."""


class Keeper:
    """Keeps one lab."""

    def __init__(self, lab: KeptLab, directory: Path, lifeline: int) -> None:
        self._lab = lab
        self._directory = directory
        self._lifeline = lifeline
        self._released = False
        self._ending: list[_Caller] | None = None
        self._over = False
        self._select = selectors.DefaultSelector()
        self._callers: set[_Caller] = set()
        self._nodes: dict[str, _Node] = {}
        self._commands: dict[int, _Caller] = {}
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._hub: Hub | None = None
        self._root = ""
        if lab.network == protocol.NAMESPACES:
            self._root = str(directory / protocol.ROOT)
            lay_root(self._root)
            self._hub = Hub(int(lab.subnet.partition("/")[2]))
        self._spawner = Spawner()
        self._loaded = load(Path(lab.root))
        self._journal = Journal(str(directory / protocol.JOURNAL))
        for node in lab.nodes:
            (directory / node.name).mkdir(MODE, exist_ok=True)
            self._nodes[node.name] = _Node(node, self._environment(node))
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._server.bind(str(directory / protocol.SOCKET))
        self._server.listen(CONNECTIONS)
        self._server.setblocking(False)
        self._watch_children()
        self._select.register(self._server, selectors.EVENT_READ, self._accept)
        self._select.register(lifeline, selectors.EVENT_READ, self._lost_owner)

    def _environment(self, node: KeptNode) -> dict[str, str]:
        own = RUN if self._root else str(self._directory / node.name)
        return {
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

    # ── the loop ─────────────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> None:
        """Keep the lab until its end."""
        while not self._over:
            now = time.monotonic()
            due = [act for when, act in self._later if when <= now]
            self._later = [entry for entry in self._later if entry[0] > now]
            for act in due:
                act()
            wait = min((when for when, _ in self._later), default=now + 60.0) - now
            for key, events in self._select.select(max(0.0, wait)):
                if key.data is not None:
                    key.data(events)

    def _watch_children(self) -> None:
        heard, tell = os.pipe()
        for end in (heard, tell):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: self._end(None))

        def reap(_: int) -> None:
            with contextlib.suppress(BlockingIOError):
                os.read(heard, READ)
            self._reap()

        self._select.register(heard, selectors.EVENT_READ, reap)

    def _lost_owner(self, _: int) -> None:
        self._select.unregister(self._lifeline)
        if not self._released:
            self._end(None)

    # ── callers ──────────────────────────────────────────────────────────────────────────────────────────────

    def _accept(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            connection, _address = self._server.accept()
            connection.setblocking(False)
            caller = _Caller(connection)
            self._callers.add(caller)
            self._select.register(connection, selectors.EVENT_READ, lambda events: self._hear(caller, events))

    def _hear(self, caller: _Caller, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._feed(caller)
        if not events & selectors.EVENT_READ or caller not in self._callers:
            return
        try:
            packet, descriptors, _, _ = socket.recv_fds(
                caller.socket, protocol.MESSAGE_LIMIT, 3, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return
        except OSError:
            packet, descriptors = b"", []
        try:
            if not packet or caller.heard:
                self._dismiss(caller)
                return
            caller.heard = True
            self._serve(caller, packet, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _serve(self, caller: _Caller, packet: bytes, descriptors: list[int]) -> None:
        try:
            asked = protocol.decode(packet)
            answer = self._do(caller, asked, descriptors)
        except Refused as refused:
            answer = {"error": str(refused)}
        except (OSError, KeyError, TypeError, ValueError) as error:
            answer = {"error": str(error) or type(error).__name__}
        if answer is not None:
            self._tell(caller, answer)

    def _tell(self, caller: _Caller, answer: Answer) -> None:
        # Whoever does not take an answer of one packet has gone.
        with contextlib.suppress(OSError):
            caller.socket.send(protocol.encode(answer))

    def _dismiss(self, caller: _Caller) -> None:
        self._callers.discard(caller)
        if caller.command:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(caller.command, signal.SIGKILL)
        with contextlib.suppress(KeyError, ValueError):
            self._select.unregister(caller.socket)
        caller.socket.close()

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────

    def _do(self, caller: _Caller, asked: dict[str, Any], descriptors: list[int]) -> Answer | None:
        match asked["do"]:
            case "states":
                return {"states": {name: [node.status, node.exit_code] for name, node in self._nodes.items()}}
            case "watch":
                caller.offset = 0
                self._tell(caller, {"end": self._journal.size})
                self._feed(caller)
                return None
            case "release":
                (self._directory / protocol.RELEASED_FILE).touch(0o600)
                self._released = True
                return {}
            case "end":
                self._end(caller)
                return None
        if self._ending is not None:
            raise Refused("the lab is being removed")
        node = self._nodes[str(asked["node"])]
        match asked["do"]:
            case "start":
                self._start(node)
            case "kill":
                self._signal(node, caller, signal.SIGKILL)
                return None
            case "stop":
                self._stop(node, caller)
                return None
            case "pause":
                self._signal(node, None, signal.SIGSTOP)
                self._change(node, PAUSED)
            case "resume":
                self._signal(node, None, signal.SIGCONT)
                self._change(node, RUNNING)
            case "exec":
                self._exec(node, caller, asked, descriptors)
                return None
            case other:
                raise Refused(f"there is no request {other!r}")
        return {}

    def _start(self, node: _Node) -> None:
        if node.status in LIVING:
            raise Refused(f"the node is {node.status}")
        self._unplug(node)
        # What a killed program has left there is nobody's.
        for name in (protocol.CONSOLE,):
            (self._directory / node.kept.name / name).unlink(missing_ok=True)
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
        node.lines = LineCutter()
        self._change(node, RUNNING, began)
        self._select.register(heard, selectors.EVENT_READ, lambda _: self._read(node))

    def _program(
        self, node: _Node, argv: Sequence[str], streams: tuple[int, int, int], *, root: bool = False
    ) -> Program:
        return Program(argv, node.environment, streams, root, self._loaded.get(argv[0]) if argv else None)

    def _view(self, node: _Node, port: Port | None) -> View:
        if port is None:
            return View(node.kept.data)
        binds = {RUN: str(self._directory / node.kept.name)}
        if self._lab.files:
            binds[FILES] = self._lab.files
        if node.kept.disk is None:
            binds[DATA] = node.kept.data
        return View(
            DATA,
            root=self._root,
            binds=binds,
            read_only=(FILES,),
            disk=node.kept.disk,
            host_name=node.kept.name,
            network=port.namespace,
        )

    def _signal(self, node: _Node, caller: _Caller | None, number: int) -> None:
        """Send a signal; the caller, if there is one, is told of the node's end."""
        if node.status not in LIVING:
            raise Refused(f"the node is {node.status}")
        os.kill(node.pid, number)
        if caller is not None:
            node.waiting.append(caller)

    def _stop(self, node: _Node, caller: _Caller) -> None:
        self._signal(node, caller, signal.SIGTERM)
        # A frozen program cannot say good-bye.
        os.kill(node.pid, signal.SIGCONT)
        self._in(STOP_GRACE_S, lambda pid=node.pid: self._kill(node, pid))  # type: ignore[misc]

    def _kill(self, node: _Node, pid: int) -> None:
        if node.pid == pid and node.status in LIVING:
            os.kill(pid, signal.SIGKILL)

    def _in(self, seconds: float, act: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, act))

    def _exec(self, node: _Node, caller: _Caller, asked: dict[str, Any], descriptors: list[int]) -> None:
        if len(descriptors) != 3:
            raise Refused("a command needs three streams")
        if node.status == PAUSED and not asked["root"]:
            raise Refused("the node is paused")
        if node.status not in LIVING or node.view is None:
            raise Refused("the node is not running")
        argv = [str(word) for word in asked["argv"]]
        streams = (descriptors[0], descriptors[1], descriptors[2])
        program = self._program(node, argv, streams, root=bool(asked["root"]))
        try:
            caller.command = self._spawner.beside(program, node.pid, node.view)
        except FileNotFoundError:
            raise Refused("the node is not running") from None
        caller.node = node.kept.name
        self._commands[caller.command] = caller

    # ── what happens to nodes ────────────────────────────────────────────────────────────────────────────────

    def _read(self, node: _Node) -> None:
        if self._read_some(node) is None:
            self._close_output(node)

    def _read_some(self, node: _Node) -> int | None:
        """Take what the node has printed; answers with its length, None at the stream's end."""
        try:
            data = os.read(node.output, READ)
        except BlockingIOError:
            return 0
        except OSError:
            data = b""
        self._say(node, node.lines.feed(data) if data else node.lines.end())
        return len(data) or None

    def _say(self, node: _Node, lines: list[str]) -> None:
        if lines:
            now = time.time()
            self._note([Entry(node.kept.name, now, line) for line in lines])

    def _close_output(self, node: _Node) -> None:
        if node.output >= 0:
            self._select.unregister(node.output)
            os.close(node.output)
            node.output = -1

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            # As shells and Docker say it.
            code = 128 - code if code < 0 else code
            if (caller := self._commands.pop(pid, None)) is not None:
                caller.command = 0
                self._tell(caller, {"status": code})
                continue
            for node in self._nodes.values():
                if node.pid == pid:
                    self._ended(node, code)

    def _ended(self, node: _Node, code: int) -> None:
        # What it said before it ended comes first. A child of its own may hold the stream: do not wait for its end.
        taken = 0
        while node.output >= 0 and taken < READ_MOST:
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
        for pid, caller in list(self._commands.items()):
            if caller.node == node.kept.name:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
        waiting, node.waiting = node.waiting, []
        for caller in waiting:
            self._tell(caller, {})
        port = node.port
        if self._ending is None:
            self._in(UNPLUG_S, lambda: self._unplug(node) if node.port is port else None)
        self._end_if_over()

    def _unplug(self, node: _Node) -> None:
        if node.port is not None and self._hub is not None and self._ending is None:
            port, node.port = node.port, None
            self._hub.unplug(port)

    def _change(self, node: _Node, status: str, at: float | None = None, code: int | None = None) -> None:
        node.status, node.exit_code = status, code
        self._note([Entry(node.kept.name, time.time() if at is None else at, None, status, code)])

    # ── the journal ──────────────────────────────────────────────────────────────────────────────────────────

    def _note(self, entries: list[Entry]) -> None:
        self._journal.append(entries)
        for caller in list(self._callers):
            if caller.offset is not None and not caller.writing:
                self._feed(caller)

    def _feed(self, caller: _Caller) -> None:
        """Send what is new of the journal, as far as the caller takes it."""
        assert caller.offset is not None
        full = False
        try:
            while caller.offset < self._journal.size:
                caller.offset += caller.socket.send(self._journal.read(caller.offset, protocol.CHUNK))
        except BlockingIOError:
            full = True
        except OSError:
            self._dismiss(caller)
            return
        if full != caller.writing:
            caller.writing = full
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if full else 0)
            self._select.modify(caller.socket, events, lambda events: self._hear(caller, events))

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────

    def _end(self, caller: _Caller | None) -> None:
        if self._ending is None:
            self._ending = []
            for pid in self._commands:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
            for node in self._nodes.values():
                if node.status in LIVING:
                    os.kill(node.pid, signal.SIGKILL)
        if caller is not None:
            self._ending.append(caller)
        self._end_if_over()

    def _end_if_over(self) -> None:
        if self._ending is None or any(node.status in LIVING for node in self._nodes.values()):
            return
        self._over = True
        for caller in self._ending:
            self._tell(caller, {})


def main(argv: list[str]) -> int:
    """Keep the lab of a directory of the registry. The first line on READY is ``ready``, or what is wrong."""
    directory, lifeline, ready = Path(argv[1]), int(argv[2]), int(argv[3])
    for descriptor in (lifeline, ready):
        os.set_inheritable(descriptor, False)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.umask(0o022)
    tell = os.fdopen(ready, "w", encoding="utf-8")
    try:
        # Held for life: who holds it is the keeper, whatever else is written there.
        lock = os.open(directory / protocol.KEEPER_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(lock, str(Owner.myself()).encode())
        lab = KeptLab.loads((directory / protocol.LAB_FILE).read_text(encoding="utf-8"))
        if lab.network == protocol.NAMESPACES:
            return enter_namespaces(lambda: _keep(lab, directory, lifeline, tell))
    except (OSError, ValueError) as error:
        tell.write(f"{error}\n")
        tell.close()
        return 1
    return _keep(lab, directory, lifeline, tell)


def _keep(lab: KeptLab, directory: Path, lifeline: int, tell: TextIO) -> int:
    """Keep the lab, in the namespaces where that is done."""
    with tell:
        try:
            keeper = Keeper(lab, directory, lifeline)
        except (OSError, ValueError) as error:
            tell.write(f"{error}\n")
            return 1
        tell.write(f"{protocol.READY}\n")
    try:
        keeper.run()
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
