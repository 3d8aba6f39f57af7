"""The local engine: every node is a process of this machine.

Each node has an address and a directory of its own.

Tested by tests/integration/test_local_engine.py.
"""

from __future__ import annotations

import compileall
import contextlib
import hashlib
import ipaddress
import os
import platform
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.interface import Engine
from torrentnet.lab.engines.local import addresses, diagnosis, layout, process_sniffer, protocol, registry
from torrentnet.lab.engines.local.client import SupervisorClient, SupervisorGoneError, error_context
from torrentnet.lab.engines.local.journal_follower import JournalFollower
from torrentnet.lab.engines.local.supervisor import cgroups
from torrentnet.lab.engines.local.supervisor.preload import write_commands
from torrentnet.lab.engines.local.supervisor_handle import SupervisorHandle
from torrentnet.lab.engines.owner import Life, boot_id
from torrentnet.lab.engines.subnets import choose_subnet
from torrentnet.lab.engines.types import (
    ExecResult,
    Finding,
    LabSpec,
    LogLine,
    LossCallback,
    Mode,
    NetworkUnavailableError,
    NodeLocation,
    NodeSpec,
    NodeState,
    NodeStatus,
    ProgressCallback,
    RemovedLab,
    StateChange,
)
from torrentnet.lab.errors import EngineError
from torrentnet.lab.installation import install_docker, program, typed_command

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torrentnet.lab.engines.local.protocol import SupervisedLab
    from torrentnet.lab.engines.types import Sniffer
    from torrentnet.lab.scenario.plan.program import ProgramPlan

NODE_PACKAGES: Final = ("wire", "runtime", "tracker", "peer", "console", "shaper", "adapters", "sniffer")
"""Our packages that nodes run."""
NODES_FILE: Final = "nodes.json"
"""In the run's directory: every node with its command line."""
CONTROLLERS: Final = {"processes": cgroups.PIDS, "cpus": cgroups.CPU}
"""The limits that need control groups, and the controller that each needs."""
TRIAL: Final = "trial"
TRIAL_LIFETIME: Final = "600"
"""Seconds that the trial's node lives at most."""


class LocalEngine(Engine):
    """The engine that runs one lab as processes of this machine.

    :class:`Engine` documents the methods. ``root`` is the directory of our package.
    """

    name = "local"
    has_compose = False

    def __init__(self, root: Path) -> None:
        self._root = root
        self._mode: diagnosis.NetworkMode | None = None
        self._cgroups: dict[str, str] | None = None
        self._lab: SupervisedLab | None = None
        self._project = ""
        self._outlives_close = False
        self._directory: Path | None = None
        self._supervisor: SupervisorHandle | None = None
        self._locations: dict[str, NodeLocation] = {}
        self._journal: JournalFollower | None = None
        self._trial: LocalEngine | None = None
        """Runs the node of :meth:`scratch`."""

    # -- before there is a lab --------------------------------------------------------------------

    @property
    def network_mode(self) -> diagnosis.NetworkMode:
        """How nodes are connected on this machine.

        The mode is found by a trial at the first use. Raises EngineError.
        """
        if self._mode is None:
            self._mode = diagnosis.find_network_mode(self._root)
        return self._mode

    @property
    def cgroups(self) -> dict[str, str]:
        """Where the nodes' control groups can be, by controller; tried at the first use."""
        if self._cgroups is None:
            self._cgroups = cgroups.find_places()
        return self._cgroups

    def check(self) -> None:
        if platform.system() != diagnosis.SYSTEM:
            raise EngineError(f"the engine `local` does not run on {platform.system()}", hint=diagnosis.NEEDS_LINUX)
        registry.base_directory()

    def diagnose(self) -> list[Finding]:
        return diagnosis.findings(self._root)

    def collect_orphans(self, is_finished: Callable[[Path, str], bool]) -> list[RemovedLab]:
        return registry.collect_orphans(is_finished)

    def prepare(self, progress: ProgressCallback) -> None:
        del progress
        # Once for all nodes. Where nothing can be written, each node compiles for itself, in memory.
        for name in NODE_PACKAGES:
            compileall.compile_dir(self._root / "torrentnet" / name, quiet=2)

    def prepare_foreign(self, programs: Sequence[ProgramPlan], progress: ProgressCallback) -> None:
        del progress
        names = ", ".join(one.name for one in programs)
        if not self.trusted:
            raise EngineError(
                f"the engine `local` does not confine the program {names}: as a process of this machine it reads what"
                " you may read",
                hint=f"use Docker, or add `--trust` for a program that you trust; {install_docker()}",
            )
        for one in programs:
            self._refuse_program(one)

    def _refuse_program(self, foreign: ProgramPlan) -> None:
        """Raise EngineError for a program that needs a container."""
        needs = {
            f"runs in the image {foreign.image}": foreign.image,
            f"is built by `{foreign.build}`": foreign.build,
            f"installs {foreign.install}": foreign.install,
        }
        for need, value in needs.items():
            if value:
                raise EngineError(
                    f"the program {foreign.name} {need}, which the engine `local` does not do",
                    hint="use `--engine docker`, or remove that line and prepare the program by hand",
                )
        if self.network_mode.network != protocol.NAMESPACES:
            mode = self.network_mode
            raise EngineError(
                f"the program {foreign.name} cannot be observed among nodes that share the loopback interface"
                f" ({mode.reason})",
                hint=f"{mode.remedy}; or use Docker",
            )

    def environment(self) -> dict[str, str]:
        network = self._lab.network if self._lab is not None else self.network_mode.network
        return diagnosis.environment(network)

    # -- the network between the nodes ------------------------------------------------------------

    def fingerprint(self) -> str | None:
        # Whether the kernel supports our shaper depends on what the shaper requests of it.
        digest = hashlib.sha256()
        for path in sorted((self._root / "torrentnet" / "shaper").glob("*.py")):
            digest.update(path.read_bytes())
        mode = self.network_mode
        system = f"{platform.release()} {boot_id()} {os.getuid()} {mode.network} {mode.reason}"
        return f"{self.name} {system} {digest.hexdigest()[:12]}"

    @contextlib.contextmanager
    def scratch(self) -> Iterator[str]:
        mode = self.network_mode
        if mode.network != protocol.NAMESPACES:
            raise NetworkUnavailableError(
                f"the nodes are processes on the loopback interface ({mode.reason})", f"{mode.remedy}; or use Docker"
            )
        trial = LocalEngine(self._root)
        trial._mode, trial._cgroups = mode, {}
        try:
            trial._run_trial()
            self._trial = trial
            yield TRIAL
        finally:
            self._trial = None
            trial.destroy()
            trial.close()

    def _run_trial(self) -> None:
        """Create and start a lab with one idle node.

        All files of the node are in the registry.
        """
        project = f"{TRIAL}-{secrets.token_hex(3)}"

        def spec(directory: Path) -> LabSpec:
            return LabSpec(
                project=project,
                scenario=TRIAL,
                mode=Mode.RUN,
                home=directory,
                files=directory / "own" / "files",
                record=directory,
                nodes=(NodeSpec(TRIAL, "", wants_files=False),),
                commands=lambda _: {TRIAL: ("sleep", TRIAL_LIFETIME)},
            )

        self._create(project, spec, lambda _: None)
        self.start(TRIAL)

    def exec_root(self, node: str, argv: Sequence[str], stdin: str, *, timeout: float = 30.0) -> ExecResult:
        if self._trial is not None and node == TRIAL:
            return self._trial.exec_root(node, argv, stdin, timeout=timeout)
        if self._lab is None or self._lab.network != protocol.NAMESPACES:
            return super().exec_root(node, argv, stdin, timeout=timeout)
        with error_context(f"setting the network of {node}"):
            return self._client().run(self._require_node(node), argv, timeout=timeout, stdin=stdin, root=True)

    def sniff(self, snap: int, addresses: Sequence[str] = ()) -> Sniffer:
        if self.network_mode.network != protocol.NAMESPACES:
            # Others use the loopback interface, too.
            addresses = addresses or [location.address for location in self._locations.values()]
        with error_context("capturing packets"):
            return process_sniffer.start(self._client(), snap, addresses)

    def counters_unavailable(self) -> str:
        if self.network_mode.network == protocol.NAMESPACES:
            return ""
        return f"the nodes share the loopback interface ({self.network_mode.reason})"

    # -- the lab ----------------------------------------------------------------------------------

    def create(self, spec: LabSpec, progress: ProgressCallback) -> None:
        self._outlives_close = spec.mode is Mode.UP
        for node in spec.nodes:
            self._refuse_limits(node)
        for node in spec.nodes:
            self._keep_program(spec, node)
        lab = self._create(spec.project, lambda _: spec, progress)
        # Created again if somebody has removed it meanwhile.
        spec.record.mkdir(parents=True, exist_ok=True)
        (spec.record / NODES_FILE).write_text(lab.dumps(), encoding="utf-8")

    @staticmethod
    def _keep_program(spec: LabSpec, node: NodeSpec) -> None:
        """Copy a program's folder to the lab's directory.

        A lab may outlive the folder.
        """
        if node.foreign is not None and node.foreign.folder is not None:
            target = layout.program_folder(spec, node.foreign)
            if not target.exists():
                shutil.copytree(node.foreign.folder, target, symlinks=True)

    def _refuse_limits(self, node: NodeSpec) -> None:
        """Raise EngineError where the scenario sets a limit that this engine cannot keep."""
        missing = {limit for limit, controller in CONTROLLERS.items() if controller not in self.cgroups}
        refused = sorted(missing.intersection(node.limits.explicit))
        if refused:
            raise EngineError(
                f"the engine `local` cannot keep the limit `{refused[0]}` of {node.name}: this user may not create"
                f" control groups with `{CONTROLLERS[refused[0]]}` here",
                hint=f"remove the limit, or use Docker; {diagnosis.REMEDY_CGROUPS}",
            )
        if "disk" in node.limits.explicit and self.network_mode.network != protocol.NAMESPACES:
            mode = self.network_mode
            raise EngineError(
                f"this engine does not support a disk of limited size, which {node.name} needs: {mode.reason}",
                hint=f"{mode.remedy}; or use Docker",
            )

    def _create(self, project: str, make_spec: Callable[[Path], LabSpec], progress: ProgressCallback) -> SupervisedLab:
        """Register a lab and start its supervisor.

        ``make_spec`` is called with the lab's directory in the registry.
        """
        self._project = project
        network = self.network_mode.network
        claims: list[socket.socket] = []
        try:
            with registry.locked() as base:
                self._directory = registry.new_directory(base, project)
                spec = make_spec(self._directory)
                if network == protocol.NAMESPACES:
                    used = [ipaddress.IPv4Network(entry.lab.subnet) for entry in registry.labs(base) if entry.lab]
                    subnet = choose_subnet(len(spec.nodes), used)
                else:
                    subnet, claims = addresses.claim_loopback_subnet(len(spec.nodes))
                progress(f"creating {len(spec.nodes)} nodes on {subnet} ({network})")
                self._lab = lab = layout.lay_out(spec, network, subnet, self._root, self.cgroups)
                self._locations = layout.locations(lab)
                (self._directory / protocol.LAB_FILE).write_text(lab.dumps(), encoding="utf-8")
            write_commands(Path(lab.bin), self._root)
            for node in lab.nodes:
                Path(node.data).mkdir(parents=True, exist_ok=True)
            self._supervisor = SupervisorHandle(self._directory, self._root, [claim.fileno() for claim in claims])
        except OSError as error:
            raise EngineError(f"the lab cannot be created: {error}") from error
        finally:
            for claim in claims:
                claim.close()
        return lab

    def adopt(self, project: str, *, missing_ok: bool = False) -> None:
        self._project = project
        found = registry.find(project)
        if found is None or found.lab is None or (not missing_ok and found.supervisor_life is Life.DEAD):
            if missing_ok:
                return
            down, up = typed_command("down"), typed_command("up", "NAME")
            raise EngineError(
                f"the lab {project} is gone: its nodes ended with their supervisor",
                hint=f"`{down}` removes what is left of it; `{up}` makes a new one",
            )
        self._lab, self._directory = found.lab, found.path
        self._mode = diagnosis.NetworkMode(found.lab.network)
        self._locations = layout.locations(found.lab)

    def watch(
        self,
        on_line: Callable[[LogLine], None],
        on_state: Callable[[StateChange], None],
        on_lost: LossCallback,
    ) -> None:
        self._journal = JournalFollower(self._client(), self._locations, on_line, on_state, on_lost)

    def unwatch(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def destroy(self) -> None:
        self.unwatch()
        if self._directory is None:
            if self._project:
                # Perhaps interrupted just when the directory was made: that has no owner, and is removed with its like.
                registry.collect_orphans()
            return
        with contextlib.suppress(EngineError):
            SupervisorClient(self._directory).request("end")
        if self._supervisor is not None:
            self._supervisor.close()
            self._supervisor = None
        registry.remove(registry.LabEntry(self._directory, self._lab))
        self._directory = None

    def close(self) -> None:
        self.unwatch()
        if self._supervisor is not None:
            if self._outlives_close:
                self._supervisor.release()
            else:
                self._supervisor.close()
            self._supervisor = None

    # -- nodes ------------------------------------------------------------------------------------

    @property
    def locations(self) -> Mapping[str, NodeLocation]:
        return self._locations

    def state(self, node: str) -> NodeState:
        try:
            return self._client().states()[self._require_node(node)]
        except SupervisorGoneError:
            return NodeState(NodeStatus.GONE)

    def exec(self, node: str, argv: Sequence[str], *, timeout: float = 10.0) -> ExecResult:
        with error_context(f"`{' '.join(argv)}` in {node}"):
            return self._client().run(self._require_node(node), argv, timeout=timeout)

    def runs_foreign(self, node: str) -> bool:
        return self._lab is not None and any(one.observer for one in self._lab.nodes if one.name == node)

    def attach_command(self, node: str, argv: Sequence[str], *, terminal: bool) -> list[str]:
        # A console is a socket, so its own program need not run in the node.
        del terminal
        assert self._lab is not None
        console = f"{self._directory}/{self._require_node(node)}/{protocol.CONSOLE}"
        settings = [f"TORRENTNET_CONSOLE={console}", f"PYTHONPATH={self._root}", "PYTHONSAFEPATH=1"]
        return ["env", *settings, f"{self._lab.bin}/{argv[0]}", *argv[1:]]

    def logs_command(self, nodes: Sequence[str], *, follow: bool) -> list[str]:
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

    def console_hint(self, node: str, words: str) -> str:
        return f"{program()} attach {node} {words}".rstrip()

    def _require_node(self, node: str) -> str:
        if node not in self._locations:
            raise EngineError(f"the lab {self._project} has no node {node}")
        return node

    def _client(self) -> SupervisorClient:
        if self._directory is None:
            raise SupervisorGoneError
        return SupervisorClient(self._directory)

    def _control(self, verb: str, node: str) -> None:
        with error_context(f"{verb} {node}"):
            self._client().request(verb, node=self._require_node(node))
