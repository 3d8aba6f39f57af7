"""The Docker engine: each node of the lab is a container.

Compose creates the nodes; the Docker SDK does everything else. The engine runs real machines: sockets,
clock and files are the machine's own.

Tested by tests/integration/test_up.py, tests/integration/test_verbs.py.
"""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING, Final

import docker.errors
import requests

import docker
from torrentnet.lab.engines.docker import (
    batch_exec,
    cleanup,
    compose,
    container_exec,
    diagnosis,
    helper_containers,
    images,
    labels,
    limits,
    sniffer_container,
)
from torrentnet.lab.engines.docker.connection import (
    NO_ENGINE_HINT,
    connect,
    require_shared_files,
    same_time_of_day,
    translate_errors,
)
from torrentnet.lab.engines.docker.containers import NodeContainers
from torrentnet.lab.engines.docker.logs.streams import LogStreams
from torrentnet.lab.engines.docker.programs.program_images import RUNTIME, ProgramImage, ProgramImages
from torrentnet.lab.engines.docker_endpoint import DockerEndpoint, find_endpoint
from torrentnet.lab.engines.interface import Engine
from torrentnet.lab.engines.owner import boot_id
from torrentnet.lab.engines.steady import EngineStamps
from torrentnet.lab.engines.subnets import assign_addresses, choose_subnet
from torrentnet.lab.engines.types import (
    ExecResult,
    Finding,
    LabSpec,
    LogLine,
    LossCallback,
    NodeLocation,
    NodeState,
    NodeStatus,
    ProgressCallback,
    RemovedLab,
    StateChange,
)
from torrentnet.lab.errors import EngineError
from torrentnet.lab.installation import typed_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from ipaddress import IPv4Network
    from pathlib import Path

    from torrentnet.lab.engines.types import BatchExec, NodeSpec, Sniffer
    from torrentnet.lab.scenario.plan.program import ProgramPlan

MAX_SUBNET_ATTEMPTS: Final = 8
CONSOLE_COMMANDS: Final = {"request", "file_logs", "peers", "status", "help", "console"}
"""Commands that the image has on its PATH; other words are the console's."""
RUNTIME_ENVIRONMENT: Final = {
    "PATH": f"{RUNTIME}/sbin",
    "XTABLES_LIBDIR": f"{RUNTIME}/lib/xtables",
    "TC_LIB_DIR": f"{RUNTIME}/lib/tc",
    "XTABLES_LOCKFILE": "/run/torrentnet/xtables.lock",
    "LD_PRELOAD": "",
}
"""For what we run with all rights in an image that is not ours."""


class DockerEngine(Engine):
    """Runs one lab in Docker; :class:`Engine` documents the methods.

    ``root`` is the directory with Dockerfile and docker-compose.yml.
    """

    name = "docker"

    def __init__(self, root: Path) -> None:
        self._root = root
        self._docker: docker.DockerClient | None = None
        self._endpoint: DockerEndpoint | None = None
        self._checked = False
        self._image = ""
        self._clients_image = ""
        """Image with programs of others; empty where the scenario has none."""
        self._programs: dict[str, ProgramImage] = {}
        """Images of programs that the scenario brings along, by the programs' names."""
        self._nodes = NodeContainers(lambda: self.client)
        self._streams: LogStreams | None = None
        self._creating = False
        """Whether Docker may still be creating something for a command that was interrupted."""
        self._log_files: dict[str, int] = {}
        """The most bytes of one file of each node's log."""
        self._labels: dict[str, str] = {}
        """On everything that belongs to the lab."""
        self._helper: batch_exec.BatchExecHelper | None = None

    # -- before there is a lab --------------------------------------------------------------------

    @property
    def client(self) -> docker.DockerClient:
        """The SDK's client; connects at its first use.

        Raises EngineError where no Docker Engine answers.
        """
        if self._docker is None:
            self._docker = connect(self.endpoint)
        return self._docker

    @property
    def endpoint(self) -> DockerEndpoint:
        """Where the engine listens; the same from its first use on. Raises EngineError."""
        if self._endpoint is None:
            self._endpoint = find_endpoint()
        return self._endpoint

    def check(self) -> None:
        if self._checked:
            return
        if shutil.which("docker") is None:
            raise EngineError("the command `docker` is not installed", hint=NO_ENGINE_HINT)
        with translate_errors("no Docker Engine answers"):
            self.client.ping()
            require_shared_files(self.client, self.endpoint, self._root)
        missing = next((finding for finding in diagnosis.compose_findings(self._root) if not finding.ok), None)
        if missing:
            raise EngineError(f"{missing.what}: {missing.found}", hint=missing.remedy)
        self._checked = True

    def diagnose(self) -> list[Finding]:
        return diagnosis.diagnose(self._root, lambda: self.client)

    def collect_orphans(self, is_finished: Callable[[Path, str], bool]) -> list[RemovedLab]:
        with translate_errors("looking for labs of dead owners"):
            return cleanup.collect_orphans(self.client, is_finished)

    def prepare(self, progress: ProgressCallback) -> None:
        with translate_errors("the image"):
            self._image = images.ensure_image(self.client, self._root, progress, environment=self.command_environment())

    def prepare_programs(self, programs: Sequence[str], progress: ProgressCallback) -> None:
        with translate_errors(f"the image with {', '.join(programs)}"):
            self._clients_image = images.ensure_image(
                self.client, self._root, progress, images.CLIENTS, self.command_environment()
            )

    def prepare_foreign(self, programs: Sequence[ProgramPlan], progress: ProgressCallback) -> None:
        for program in programs:
            with translate_errors(f"the image of the program {program.name}"):
                maker = ProgramImages(self.client, self._root, self._image, self.command_environment(), progress)
                self._programs[program.name] = maker.ensure(program)

    def environment(self) -> dict[str, str]:
        with translate_errors("asking Docker for its version"):
            info = self.client.info()
        return {
            "engine": f"docker {info.get('ServerVersion', '?')}",
            "system": str(info.get("OperatingSystem", "?")),
            "kernel": str(info.get("KernelVersion", "?")),
            "processors": str(info.get("NCPU", "?")),
            "storage": str(info.get("Driver", "?")),
            "image": self._image,
        }

    # -- the network between the nodes ------------------------------------------------------------

    def fingerprint(self) -> str | None:
        tag = self._image or images.tag_of(self._root)
        with translate_errors("asking Docker for its version"):
            info = self.client.info()
            try:
                self.client.images.get(tag)
            except docker.errors.ImageNotFound:
                return None
        self._image = tag
        return f"{self.name} {info.get('ID', '?')} {info.get('KernelVersion', '?')} {boot_id()} {tag}"

    @contextlib.contextmanager
    def scratch(self) -> Iterator[str]:
        with translate_errors("trying what the nodes' network can do"), contextlib.ExitStack() as stack:
            name = f"a trial of {self._image}"
            self._nodes.ids[name] = stack.enter_context(helper_containers.scratch_container(self.client, self._image))
            stack.callback(self._nodes.ids.pop, name)
            yield name

    def exec_root(self, node: str, argv: Sequence[str], stdin: str, *, timeout: float = 30.0) -> ExecResult:
        environment = {}
        if self._nodes.programs.get(node) == labels.IN_ITS_IMAGE:
            # With all rights, only what we have brought into such an image.
            argv = [f"{RUNTIME}/sbin/{argv[0]}", *argv[1:]]
            environment = RUNTIME_ENVIRONMENT
        with translate_errors(f"setting the network of {node}"):
            return container_exec.run(
                self.client,
                self._nodes.id(node),
                argv,
                timeout=timeout,
                stdin=stdin,
                user="0",
                privileged=True,
                environment=environment,
            )

    def batch_exec(self) -> BatchExec | None:
        if self._helper is None:
            with translate_errors("creating the helper that sets the nodes' network"):
                self._helper = batch_exec.BatchExecHelper(self.client, self._image, self._labels, self._nodes.pid)
        return self._run_batch

    def _run_batch(self, scripts: Mapping[str, str]) -> Mapping[str, ExecResult]:
        if self._helper is None:
            raise EngineError("the helper that sets the nodes' network is gone")
        with translate_errors("setting the network of the nodes"):
            return self._helper(scripts)

    def sniff(self, snap: int, addresses: Sequence[str] = ()) -> Sniffer:
        with translate_errors("starting the container that captures packets"):
            if not self._image:
                self.prepare(lambda _: None)  # the sources may have changed since the lab came up
            return sniffer_container.start(self.client, self._image, self._nodes.project, snap, addresses)

    # -- the lab ----------------------------------------------------------------------------------

    def create(self, spec: LabSpec, progress: ProgressCallback) -> None:
        with translate_errors("looking whether the engine sees the nodes' files"):
            require_shared_files(self.client, self.endpoint, spec.files)
        self._nodes.project = spec.project
        owner = labels.owner_labels(spec.mode, spec.home)
        self._labels = {labels.LAB: spec.project, **owner}
        names = [node.name for node in spec.nodes]
        self._log_files = {node.name: node.limits.log // limits.LOG_FILES for node in spec.nodes}
        refused: list[IPv4Network] = []
        with translate_errors("asking Docker what it can limit"):
            support = limits.LimitSupport.of(self.client.info())
        if unlimited := support.unlimited(spec.nodes):
            progress(limits.describe_unlimited(unlimited, spec.nodes))
        self._creating = True
        for _ in range(MAX_SUBNET_ATTEMPTS):
            with translate_errors("looking for a free subnet"):
                used = compose.used_subnets(self.client)
            subnet = choose_subnet(len(names), [*used, *refused])
            addresses = assign_addresses(subnet, names)
            locations = {node.name: self._location(node, str(addresses[node.name])) for node in spec.nodes}
            self._nodes.locations = locations
            topology = compose.Topology(
                self._root / "docker-compose.yml",
                self._image,
                subnet,
                locations,
                owner,
                support,
                self._clients_image,
                self._programs,
            )
            file = spec.record / "compose.yaml"
            # Created again if somebody has removed it meanwhile.
            spec.record.mkdir(parents=True, exist_ok=True)
            file.write_text(compose.render(spec, topology), encoding="utf-8")
            progress(f"creating {len(names)} nodes on {subnet}")
            if compose.create(self._root, spec.project, file, self.command_environment()):
                break
            refused.append(subnet)
        else:
            raise EngineError("each subnet that looked free was taken", hint="see `docker network ls`")
        self._creating = False
        self._nodes.find()
        in_memory = compose.nodes_in_memory(spec.nodes, support)
        if in_memory:
            # Docker empties a volume in memory when no container has it: a node that restarts must find its files.
            with translate_errors("creating the container that keeps the nodes' files"):
                volumes = [f"{spec.project}_{compose.volume_key(node)}" for node in sorted(in_memory)]
                helper_containers.hold_volumes(self.client, self._image, self._labels, volumes)

    def _location(self, node: NodeSpec, address: str) -> NodeLocation:
        if node.foreign is None:
            return NodeLocation(address, compose.FILES, compose.DATA)
        folder = self._programs[node.foreign.name].folder
        return NodeLocation(address, compose.FILES, compose.DATA, folder, f"{limits.USER}:{limits.USER}")

    def adopt(self, project: str, *, missing_ok: bool = False) -> None:
        self._nodes.project = project
        self._nodes.find()
        if not self._nodes.ids and not missing_ok:
            raise EngineError(f"the lab {project} is gone", hint=f"`{typed_command('up', 'NAME')}` makes a new one")

    def watch(
        self,
        on_line: Callable[[LogLine], None],
        on_state: Callable[[StateChange], None],
        on_lost: LossCallback,
    ) -> None:
        with translate_errors("following the nodes"):
            stamps = EngineStamps(same_time_of_day(self.client))
            self._streams = LogStreams(
                self.client,
                self._nodes.project,
                self._nodes.ids,
                on_line,
                on_state,
                on_lost,
                stamps=stamps,
                limits=self._log_files,
            )
        for node in self._nodes.ids:
            if self.state(node).status is not NodeStatus.CREATED:
                self._streams.open(node)

    def lagging(self) -> frozenset[str]:
        return self._streams.lagging() if self._streams is not None else frozenset()

    def unwatch(self) -> None:
        if self._streams is not None:
            self._streams.close()
            self._streams = None

    def destroy(self) -> None:
        if self._nodes.project:
            with translate_errors("removing the lab"):
                cleanup.remove_patiently(self.client, self._nodes.project, str(self.endpoint), unsettled=self._creating)
            self._creating = False
            self._nodes.ids.clear()

    def close(self) -> None:
        self.unwatch()
        if self._docker is not None:
            if self._helper is not None:
                with contextlib.suppress(docker.errors.DockerException, requests.RequestException):
                    self._helper.remove()
                self._helper = None
            self._docker.close()
            self._docker = None

    # -- nodes ------------------------------------------------------------------------------------

    @property
    def locations(self) -> Mapping[str, NodeLocation]:
        return self._nodes.locations

    def state(self, node: str) -> NodeState:
        return self._nodes.state(node)

    @property
    def identity(self) -> str:
        with translate_errors("asking Docker for its id"):
            return str(self.client.info().get("ID", ""))

    def incarnation(self, node: str) -> str:
        return self._nodes.incarnation(node)

    def exec(self, node: str, argv: Sequence[str], *, timeout: float = 10.0) -> ExecResult:
        with translate_errors(f"`{' '.join(argv)}` in {node}"):
            return container_exec.run(
                self.client, self._nodes.id(node), argv, timeout=timeout, user=self._user(node, argv[0])
            )

    def _user(self, node: str, command: str) -> str:
        """Return who runs a command in a node; empty for the container's own user.

        Beside an observer, which is root, only our own commands are run by root: the others may be the program's.
        """
        foreign = node in self._nodes.programs and command not in CONSOLE_COMMANDS
        return f"{limits.USER}:{limits.USER}" if foreign else ""

    def command_environment(self) -> dict[str, str]:
        return self.endpoint.environment()

    def runs_foreign(self, node: str) -> bool:
        return node in self._nodes.programs

    def attach_command(self, node: str, argv: Sequence[str], *, terminal: bool) -> list[str]:
        user = self._user(node, argv[0])
        who = ["--user", user] if user else []
        return ["docker", "exec", "-it" if terminal else "-i", *who, self._nodes.id(node), *argv]

    def logs_command(self, nodes: Sequence[str], *, follow: bool) -> list[str]:
        return ["docker", "compose", "-p", self._nodes.project, "logs", *(["--follow"] if follow else []), *nodes]

    def console_hint(self, node: str, words: str) -> str:
        first = words.split(maxsplit=1)[0] if words else "console"
        prefix = "" if first in CONSOLE_COMMANDS else "console "
        return f"docker compose exec {node} {prefix}{words}".rstrip()

    def _control(self, verb: str, node: str) -> None:
        self._nodes.control(verb, node)
