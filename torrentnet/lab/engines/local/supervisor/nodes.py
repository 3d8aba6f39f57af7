"""The nodes of a lab, as its supervisor runs them.

The module runs the nodes' own programs, and the commands beside these programs.

Tested by tests/integration/test_local_engine.py.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.local import protocol
from torrentnet.lab.engines.local.supervisor import cgroups, syscalls
from torrentnet.lab.engines.local.supervisor.bridge import BRIDGE_NAME, SBIN, Bridge, BridgePort
from torrentnet.lab.engines.local.supervisor.node_process import PAUSED, RUNNING, NodeProcess
from torrentnet.lab.engines.local.supervisor.preload import preload_programs
from torrentnet.lab.engines.local.supervisor.request_server import RequestRejectedError
from torrentnet.lab.engines.local.supervisor.sandbox_root import (
    DATA,
    FILES,
    HOSTS,
    LANGUAGE,
    RUN,
    Sandbox,
    build_root,
    hide,
    mount_memory,
    write_hosts,
)
from torrentnet.lab.engines.local.supervisor.spawner import ProcessSpec, Spawner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torrentnet.lab.engines.local.protocol import SupervisedLab, SupervisedNode
    from torrentnet.lab.engines.local.supervisor.event_loop import EventLoop
    from torrentnet.lab.engines.local.supervisor.node_process import Record

STOP_GRACE: Final = 10.0
"""As in docker-compose.yml."""
UNPLUG_DELAY: Final = 0.15
"""After a node's end its kernel still sends what was in its sockets; a container's network lives on as long, too."""
DIRECTORY_MODE: Final = 0o700
LOOPBACK_DEVICE: Final = "lo"


@dataclass(slots=True)
class _Command:
    """A program beside a node's own."""

    node: NodeProcess | None
    """None for the sniffer, which is beside all nodes."""
    on_exit: Callable[[int], None]


class NodeProcesses:
    """All nodes of a lab.

    Methods that take a name raise KeyError for an unknown node, RequestRejectedError in the wrong state, or OSError.
    """

    def __init__(self, lab: SupervisedLab, directory: Path, loop: EventLoop, record: Record) -> None:
        """Prepare the nodes of ``lab``, whose directory in the registry is ``directory``.

        ``record`` writes journal entries. Raises OSError where the kernel refuses something.
        """
        self._lab = lab
        self._directory = directory
        self._loop = loop
        self._commands: dict[int, _Command] = {}
        self._bridge: Bridge | None = None
        self._root = ""
        self._hosts = ""
        """The file with the addresses of the nodes' names."""
        self._on_end: Callable[[], None] | None = None
        """Called when no node is alive any more; None before the lab ends."""
        if lab.network == protocol.NAMESPACES:
            self._root = str(directory / protocol.ROOT)
            build_root(self._root)
            # Consoles of other nodes and the supervisor's own socket are there.
            hide(self._root, str(directory.parent))
            self._hosts = write_hosts(directory / "hosts", {node.name: node.address for node in lab.nodes})
            self._bridge = Bridge(int(lab.subnet.partition("/")[2]))
        self._spawner = Spawner()
        self._preloaded = preload_programs(Path(lab.root))
        self._nodes: dict[str, NodeProcess] = {}
        self._cgroups: dict[str, list[str]] = {}
        for node in lab.nodes:
            (directory / node.name).mkdir(DIRECTORY_MODE, exist_ok=True)
            if self._root and node.disk is not None:
                mount_memory(node.data, node.disk)
            self._cgroups[node.name] = (
                cgroups.create(lab.cgroups, lab.project, node.name, node.processes, node.cpus) if lab.cgroups else []
            )
            self._nodes[node.name] = NodeProcess(node, self._environment(node), loop, record)

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

    # -- requests ---------------------------------------------------------------------------------

    def states(self) -> dict[str, tuple[str, int | None]]:
        """Return each node's status, and its exit status once it has one."""
        return {name: (node.status, node.exit_code) for name, node in self._nodes.items()}

    def start(self, name: str) -> None:
        """Start a node that is not alive."""
        node = self._nodes[name]
        if node.alive:
            raise RequestRejectedError(f"the node is {node.status}")
        self._unplug(node)
        # A killed program leaves its socket behind.
        (self._directory / name / protocol.CONSOLE).unlink(missing_ok=True)
        port = self._bridge.plug(node.spec.address) if self._bridge is not None else None
        sandbox = self._sandbox(node, port)
        reading, writing = os.pipe()
        null = os.open(os.devnull, os.O_RDONLY)
        began = time.monotonic()
        try:
            process = self._process(node, node.spec.argv, (null, writing, writing))
            process = replace(process, observer=node.spec.observer)
            pid = self._spawner.start_node(process, sandbox)
        except BaseException:
            os.close(reading)
            if port is not None and self._bridge is not None:
                self._bridge.unplug(port)
            raise
        finally:
            os.close(null)
            os.close(writing)
        os.set_blocking(reading, False)
        node.port, node.sandbox = port, sandbox
        node.started(pid, reading, began)

    def kill(self, name: str, on_exit: Callable[[], None]) -> None:
        """End a node; ``on_exit`` is called when it has ended."""
        node = self._require_alive(name)
        os.kill(node.pid, signal.SIGKILL)
        node.on_exit.append(on_exit)

    def stop(self, name: str, on_exit: Callable[[], None]) -> None:
        """Let a node end in order; kill it after a grace."""
        node = self._require_alive(name)
        os.kill(node.pid, signal.SIGTERM)
        # A frozen program cannot handle the signal.
        os.kill(node.pid, signal.SIGCONT)
        node.on_exit.append(on_exit)
        self._loop.call_later(STOP_GRACE, partial(node.kill, node.pid))

    def pause(self, name: str) -> None:
        """Freeze a node."""
        node = self._require_alive(name)
        os.kill(node.pid, signal.SIGSTOP)
        node.change(PAUSED)

    def resume(self, name: str) -> None:
        """Continue a frozen node."""
        node = self._require_alive(name)
        os.kill(node.pid, signal.SIGCONT)
        node.change(RUNNING)

    def run(
        self, name: str, argv: Sequence[str], streams: Sequence[int], on_exit: Callable[[int], None], *, root: bool
    ) -> Callable[[], None]:
        """Run a command in a node, and return a function that ends the command early.

        ``on_exit`` is called with the command's exit status.
        """
        if len(streams) != 3:
            raise RequestRejectedError("a command needs three streams")
        node = self._nodes[name]
        if node.status == PAUSED and not root:
            raise RequestRejectedError("the node is paused")
        if not node.alive or node.sandbox is None:
            raise RequestRejectedError("the node is not running")
        process = self._process(node, argv, (streams[0], streams[1], streams[2]), root=root)
        try:
            pid = self._spawner.start_command(process, node.pid, node.sandbox)
        except FileNotFoundError:
            raise RequestRejectedError("the node is not running") from None
        self._commands[pid] = _Command(node, on_exit)
        return partial(self._kill_command, pid)

    def sniff(self, snap: int, addresses: Sequence[str], streams: Sequence[int]) -> Callable[[], None]:
        """Start a sniffer of the nodes' network, and return a function that ends it early."""
        if len(streams) != 3:
            raise RequestRejectedError("a sniffer needs three streams")
        device = BRIDGE_NAME if self._bridge is not None else LOOPBACK_DEVICE
        argv = [self._lab.python, "-m", "torrentnet.sniffer", device, str(snap), *addresses]
        environment = {"PYTHONPATH": self._lab.root, "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        process = ProcessSpec(
            argv, environment, (streams[0], streams[1], streams[2]), capabilities=syscalls.SNIFFER_CAPABILITIES
        )
        pid = self._spawner.start_beside(process)
        self._commands[pid] = _Command(None, lambda _: None)
        return partial(self._kill_command, pid)

    def end(self, on_end: Callable[[], None]) -> None:
        """End everything; ``on_end`` is called when no node is alive any more."""
        self._on_end = on_end
        for pid in list(self._commands):
            self._kill_command(pid)
        for node in self._nodes.values():
            node.kill(node.pid)
        self._check_end()

    # -- details ----------------------------------------------------------------------------------

    def _require_alive(self, name: str) -> NodeProcess:
        node = self._nodes[name]
        if not node.alive:
            raise RequestRejectedError(f"the node is {node.status}")
        return node

    def _process(
        self, node: NodeProcess, argv: Sequence[str], streams: tuple[int, int, int], *, root: bool = False
    ) -> ProcessSpec:
        limits = {} if root else {resource.RLIMIT_CORE: 0, **self._limits(node.spec)}
        preloaded = self._preloaded.get(argv[0]) if argv else None
        # What sets a node's network must run also where the node has used up its processes.
        groups = () if root else self._cgroups[node.spec.name]
        return ProcessSpec(argv, node.environment, streams, root, preloaded, limits, groups)

    def _limits(self, node: SupervisedNode) -> dict[int, int]:
        limits = {resource.RLIMIT_DATA: node.memory, resource.RLIMIT_NOFILE: node.open_files}
        return limits | ({resource.RLIMIT_NPROC: self._lab.user_processes} if self._lab.user_processes else {})

    def _sandbox(self, node: NodeProcess, port: BridgePort | None) -> Sandbox:
        if port is None:
            return Sandbox(node.spec.data)
        binds = {RUN: str(self._directory / node.spec.name), DATA: node.spec.data}
        if self._lab.files:
            binds[FILES] = self._lab.files
        if self._hosts:
            binds[HOSTS] = self._hosts
        return Sandbox(
            DATA,
            root=self._root,
            binds=binds,
            read_only=(FILES, HOSTS),
            host_name=node.spec.name,
            network=port.namespace,
        )

    def _kill_command(self, pid: int) -> None:
        if pid in self._commands:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    # -- events -----------------------------------------------------------------------------------

    def child_ended(self, pid: int, code: int) -> None:
        """Handle the end of a child of the supervisor."""
        command = self._commands.pop(pid, None)
        if command is not None:
            command.on_exit(code)
            return
        for node in self._nodes.values():
            if node.pid == pid:
                self._spawner.forget(pid)
                self._node_ended(node, code)

    def _node_ended(self, node: NodeProcess, code: int) -> None:
        node.ended(code)
        for pid, command in list(self._commands.items()):
            if command.node is node:
                self._kill_command(pid)
        callbacks, node.on_exit = node.on_exit, []
        for callback in callbacks:
            callback()
        if self._on_end is None:
            self._loop.call_later(UNPLUG_DELAY, partial(self._unplug, node, node.port))
        self._check_end()

    def _unplug(self, node: NodeProcess, port: BridgePort | None = None) -> None:
        """Remove the node's network.

        Where a port is set, the network is removed only if the port is still the node's.
        """
        current = node.port
        if current is None or self._bridge is None or self._on_end is not None or port not in (None, current):
            return
        node.port = None
        self._bridge.unplug(current)

    def _check_end(self) -> None:
        if self._on_end is not None and not any(node.alive for node in self._nodes.values()):
            self._on_end()
