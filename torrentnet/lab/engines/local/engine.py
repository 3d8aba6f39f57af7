"""The local engine: every node is a process of this machine, with an address and a directory of its own."""

from __future__ import annotations

import compileall
import contextlib
import hashlib
import ipaddress
import os
import platform
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from torrentnet.lab.engines import interface, subnets
from torrentnet.lab.engines.local import addresses, diagnosis, protocol, registry
from torrentnet.lab.engines.local.client import JournalFollower, SupervisorClient, SupervisorGoneError
from torrentnet.lab.engines.local.protocol import SupervisedLab, SupervisedNode
from torrentnet.lab.engines.local.supervisor import sandbox_root
from torrentnet.lab.engines.local.supervisor.preload import write_commands
from torrentnet.lab.engines.local.supervisor_handle import SupervisorHandle
from torrentnet.lab.engines.owner import Owner, boot_id
from torrentnet.lab.engines.types import (
    ExecResult,
    Finding,
    LabSpec,
    LogLine,
    Mode,
    NetworkUnavailableError,
    NodeLocation,
    NodeSpec,
    NodeState,
    NodeStatus,
    ProgressCallback,
    StateChange,
)
from torrentnet.lab.errors import EngineError
from torrentnet.lab.installation import typed_command
from torrentnet.lab.paths import lab_home

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torrentnet.lab.engines.types import CommandLineBuilder

IN_NODES = ("wire", "tracker", "peer", "console", "shaper")
"""Our packages that nodes run."""
NODES_FILE = "nodes.json"
"""In the run's record: every node with its command line."""
TRIAL = "trial"
TRIAL_LIFETIME = "600"
"""For the trial's node to live, at most."""


class LocalEngine(interface.Engine):
    """Runs one lab as processes. ``root`` is the checkout."""

    name = "local"
    has_compose = False

    def __init__(self, root: Path) -> None:
        self._root = root
        self._way: diagnosis.NetworkMode | None = None
        self._lab: SupervisedLab | None = None
        self._project = ""
        self._mode = Mode.RUN
        self._directory: Path | None = None
        self._hold: SupervisorHandle | None = None
        self._places: dict[str, NodeLocation] = {}
        self._follower_of_journal: JournalFollower | None = None
        self._trial: LocalEngine | None = None
        """Keeps the node of :meth:`scratch`."""

    # ── before there is a lab ────────────────────────────────────────────────────────────────────────────────

    @property
    def way(self) -> diagnosis.NetworkMode:
        """How nodes are connected on this machine; tried at its first use. Raises EngineError."""
        if self._way is None:
            self._way = diagnosis.find_network_mode(self._root)
        return self._way

    def check(self) -> None:
        """See :meth:`base.Engine.check`."""
        if platform.system() != diagnosis.SYSTEM:
            raise EngineError(f"the engine `local` does not run on {platform.system()}", hint=diagnosis.NEEDS_LINUX)
        registry.base_directory()

    def examine(self) -> list[Finding]:
        """See :meth:`base.Engine.examine`."""
        return diagnosis.findings(self._root)

    def sweep(self) -> list[str]:
        """See :meth:`base.Engine.sweep`."""
        return registry.collect_orphans()

    def prepare(self, say: ProgressCallback) -> None:
        """See :meth:`base.Engine.prepare`."""
        del say
        # Once for all nodes. Where nothing can be written each of them does it for itself, in memory.
        for name in IN_NODES:
            compileall.compile_dir(self._root / "torrentnet" / name, quiet=2)

    def environment(self) -> dict[str, str]:
        """See :meth:`base.Engine.environment`."""
        network = self._lab.network if self._lab is not None else self.way.network
        return {
            "engine": f"local ({network}), Python {platform.python_version()}",
            "system": _system(),
            "kernel": platform.release(),
            "processors": str(os.cpu_count() or "?"),
            "storage": "directories",
            "image": "none",
        }

    # ── the network between the nodes ────────────────────────────────────────────────────────────────────────

    def fingerprint(self) -> str | None:
        """See :meth:`base.Engine.fingerprint`."""
        # Of what is tried, the shaper is our own: the kernel's answers depend on what it asks for.
        ours = hashlib.sha256()
        for path in sorted((self._root / "torrentnet" / "shaper").glob("*.py")):
            ours.update(path.read_bytes())
        system = f"{platform.release()} {boot_id()} {os.getuid()} {self.way.network} {self.way.why}"
        return f"{self.name} {system} {ours.hexdigest()[:12]}"

    @contextlib.contextmanager
    def scratch(self) -> Iterator[str]:
        """See :meth:`base.Engine.scratch`."""
        if self.way.network != protocol.NAMESPACES:
            raise NetworkUnavailableError(
                f"the nodes are processes on the loopback interface ({self.way.why})",
                f"{self.way.remedy}; or use Docker",
            )
        trial = LocalEngine(self._root)
        trial._way = self.way
        project = f"{TRIAL}-{secrets.token_hex(3)}"
        try:
            trial._make(
                project,
                lab_home(),
                (NodeSpec(TRIAL, "", False),),
                lambda _: {TRIAL: ("sleep", TRIAL_LIFETIME)},
            )
            trial.start(TRIAL)
            self._trial = trial
            yield TRIAL
        finally:
            self._trial = None
            trial.destroy(lambda _: None)
            trial.close()

    def exec_root(self, node: str, argv: Sequence[str], stdin: str, *, timeout: float = 30.0) -> ExecResult:
        """See :meth:`base.Engine.exec_root`."""
        if self._trial is not None and node == TRIAL:
            return self._trial.exec_root(node, argv, stdin, timeout=timeout)
        if self._lab is None or self._lab.network != protocol.NAMESPACES:
            return super().exec_root(node, argv, stdin, timeout=timeout)
        with _translate_errors(f"setting the network of {node}"):
            return self._client().run(self._known(node), argv, timeout=timeout, stdin=stdin, root=True)

    def why_no_counters(self) -> str:
        """See :meth:`base.Engine.why_no_counters`."""
        if self.way.network == protocol.NAMESPACES:
            return ""
        return f"the nodes share the loopback interface ({self.way.why})"

    # ── the lab ──────────────────────────────────────────────────────────────────────────────────────────────

    def create(self, spec: LabSpec, say: ProgressCallback) -> None:
        """See :meth:`base.Engine.create`."""
        self._mode = spec.mode
        small = [node.name for node in spec.nodes if node.disk is not None]
        if small and self.way.network != protocol.NAMESPACES:
            raise EngineError(
                f"this engine cannot give {small[0]} a disk of limited size: {self.way.why}",
                hint=f"{self.way.remedy}; or use Docker",
            )
        self._make(spec.project, spec.home, spec.nodes, spec.commands, spec.files, say, spec.gate)
        assert self._lab is not None
        (spec.record / NODES_FILE).write_text(self._lab.dumps(), encoding="utf-8")

    def _make(
        self,
        project: str,
        home: Path,
        nodes: Sequence[NodeSpec],
        commands: CommandLineBuilder,
        files: Path | None = None,
        say: ProgressCallback = lambda _: None,
        gate: str = "",
    ) -> None:
        self._project = project
        names = [node.name for node in nodes]
        held: list[socket.socket] = []
        try:
            with registry.locked() as path:
                self._directory = registry.new_directory(path, project)
                if self.way.network == protocol.NAMESPACES:
                    others = [ipaddress.IPv4Network(one.lab.subnet) for one in registry.labs(path) if one.lab]
                    subnet = addresses.own_subnet(len(names), others)
                else:
                    subnet, held = addresses.claim_loopback_subnet(len(names))
                say(f"creating {len(names)} nodes on {subnet} ({self.way.network})")
                own = files.parent if files is not None else self._directory / "own"
                given = subnets.assign_addresses(subnet, names)
                self._places = {
                    name: self._place(str(given[name]), files or own, own / "nodes" / name) for name in names
                }
                lines = commands(self._places)
                self._lab = SupervisedLab(
                    project=project,
                    owner=str(Owner.myself()),
                    home=str(home),
                    network=self.way.network,
                    subnet=str(subnet),
                    root=str(self._root),
                    python=sys.executable,
                    bin=str(own / "bin"),
                    files=str(files or ""),
                    path=os.environ.get("PATH", os.defpath),
                    nodes=tuple(
                        SupervisedNode(
                            node.name,
                            str(given[node.name]),
                            tuple(lines[node.name]),
                            str(own / "nodes" / node.name),
                            node.disk,
                        )
                        for node in nodes
                    ),
                    gate=gate,
                )
                (self._directory / protocol.LAB_FILE).write_text(self._lab.dumps(), encoding="utf-8")
            write_commands(own / "bin", self._root)
            for node in self._lab.nodes:
                Path(node.data).mkdir(parents=True, exist_ok=True)
            self._hold = SupervisorHandle(self._directory, self._root, [one.fileno() for one in held])
        except OSError as error:
            raise EngineError(f"the lab cannot be made: {error}") from error
        finally:
            for one in held:
                one.close()

    def _place(self, address: str, files: Path, data: Path) -> NodeLocation:
        if self.way.network == protocol.NAMESPACES:
            return NodeLocation(address, sandbox_root.FILES, sandbox_root.DATA)
        return NodeLocation(address, str(files), str(data))

    def adopt(self, project: str, *, missing_ok: bool = False) -> None:
        """See :meth:`base.Engine.adopt`."""
        self._project = project
        found = registry.find(project)
        if found is None or found.lab is None or (not missing_ok and not found.kept):
            if missing_ok:
                return
            down, up = typed_command("down"), typed_command("up", "NAME")
            raise EngineError(
                f"the lab {project} is gone: its nodes ended with the process that kept them",
                hint=f"`{down}` removes what is left of it; `{up}` makes a new one",
            )
        self._lab, self._directory = found.lab, found.path
        self._way = diagnosis.NetworkMode(found.lab.network)
        files = Path(found.lab.files)
        self._places = {node.name: self._place(node.address, files, Path(node.data)) for node in found.lab.nodes}

    def watch(self, on_line: Callable[[LogLine], None], on_state: Callable[[StateChange], None]) -> None:
        """See :meth:`base.Engine.watch`."""
        self._follower_of_journal = JournalFollower(self._client(), self._places, on_line, on_state)

    def unwatch(self) -> None:
        """See :meth:`base.Engine.unwatch`."""
        if self._follower_of_journal is not None:
            self._follower_of_journal.close()
            self._follower_of_journal = None

    def destroy(self, say: ProgressCallback) -> None:
        """See :meth:`base.Engine.destroy`."""
        del say
        self.unwatch()
        if self._directory is None:
            return
        with contextlib.suppress(EngineError):
            SupervisorClient(self._directory).ask("end")
        if self._hold is not None:
            self._hold.let_go()
            self._hold = None
        registry.remove(registry.LabEntry(self._directory, self._lab))
        self._directory = None

    def close(self) -> None:
        """See :meth:`base.Engine.close`."""
        self.unwatch()
        if self._hold is not None:
            if self._mode is Mode.UP:
                # What was not destroyed until now is meant to stay.
                self._hold.release()
            else:
                self._hold.let_go()
            self._hold = None

    # ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def places(self) -> Mapping[str, NodeLocation]:
        """See :attr:`base.Engine.places`."""
        return self._places

    def state(self, node: str) -> NodeState:
        """See :meth:`base.Engine.state`."""
        try:
            return self._client().states()[self._known(node)]
        except SupervisorGoneError:
            return NodeState(NodeStatus.GONE)

    def exec(self, node: str, argv: Sequence[str], *, timeout: float = 10.0) -> ExecResult:
        """See :meth:`base.Engine.exec`."""
        with _translate_errors(f"`{' '.join(argv)}` in {node}"):
            return self._client().run(self._known(node), argv, timeout=timeout)

    def attach_command(self, node: str, argv: Sequence[str], *, terminal: bool) -> list[str]:
        """See :meth:`base.Engine.attach_command`. A console is a socket: its own program need not be in the node."""
        del terminal
        assert self._lab is not None
        console = f"{self._directory}/{self._known(node)}/{protocol.CONSOLE}"
        settings = [f"TORRENTNET_CONSOLE={console}", f"PYTHONPATH={self._root}", "PYTHONSAFEPATH=1"]
        return ["env", *settings, f"{self._lab.bin}/{argv[0]}", *argv[1:]]

    def logs_command(self, nodes: Sequence[str], *, follow: bool) -> list[str]:
        """See :meth:`base.Engine.logs_command`."""
        return [
            *(
                "env",
                f"PYTHONPATH={self._root}",
                *diagnosis.python_command(),
                "torrentnet.lab.engines.local.print_logs",
            ),
            *(["--follow"] if follow else []),
            str(self._directory),
            *nodes,
        ]

    def look(self, node: str, words: str) -> str:
        """See :meth:`base.Engine.look`."""
        return f".venv/bin/torrentnet attach {node} {words}".rstrip()

    def _known(self, node: str) -> str:
        if node not in self._places:
            raise EngineError(f"the lab {self._project} has no node {node}")
        return node

    def _client(self) -> SupervisorClient:
        if self._directory is None:
            raise SupervisorGoneError
        return SupervisorClient(self._directory)

    def _do(self, verb: str, node: str) -> None:
        with _translate_errors(f"{verb} {node}"):
            self._client().ask(verb, node=self._known(node))

    def _start(self, node: str) -> None:
        self._do("start", node)

    def _kill(self, node: str) -> None:
        self._do("kill", node)

    def _stop(self, node: str) -> None:
        self._do("stop", node)

    def _pause(self, node: str) -> None:
        self._do("pause", node)

    def _resume(self, node: str) -> None:
        self._do("resume", node)


@contextlib.contextmanager
def _translate_errors(what: str) -> Iterator[None]:
    """Say what was being done when the keeper refused."""
    try:
        yield
    except SupervisorGoneError:
        raise
    except EngineError as error:
        if what.startswith("`") and error.message.startswith(what.split(" in ", maxsplit=1)[0]):
            raise
        raise EngineError(f"{what}: {error.message}", hint=error.hint) from error


def _system() -> str:
    with contextlib.suppress(OSError):
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return platform.system()
