"""The Docker engine: Compose makes the nodes, the Docker SDK does everything else."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

import docker.errors
import requests

import docker
from torrentnet.lab.engines import interface, subnets
from torrentnet.lab.engines.docker import cleanup, compose, container_exec, diagnosis, helper_containers, images, labels
from torrentnet.lab.engines.docker.connection import NO_ENGINE_HINT, connect, error_reason, translate_errors
from torrentnet.lab.engines.docker.log_streams import LogStreams
from torrentnet.lab.engines.owner import boot_id
from torrentnet.lab.engines.types import (
    ExecResult,
    Finding,
    LabSpec,
    LogLine,
    NodeLocation,
    NodeState,
    NodeStatus,
    ProgressCallback,
    StateChange,
)
from torrentnet.lab.errors import EngineError
from torrentnet.lab.home import lab_store
from torrentnet.lab.installation import typed_command
from torrentnet.lab.paths import lab_home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from ipaddress import IPv4Network
    from pathlib import Path

    from torrentnet.lab.engines.docker.batch_exec import BatchExec, Result

SUBNET_ATTEMPTS = 8
STOP_GRACE_S = 5
STATUSES = {
    "created": NodeStatus.CREATED,
    "running": NodeStatus.RUNNING,
    "restarting": NodeStatus.RUNNING,
    "paused": NodeStatus.PAUSED,
    "exited": NodeStatus.EXITED,
    "dead": NodeStatus.EXITED,
    "removing": NodeStatus.GONE,
}


class DockerEngine(interface.Engine):
    """Runs one lab in Docker. ``root`` is the checkout: Dockerfile and docker-compose.yml."""

    name = "docker"

    def __init__(self, root: Path) -> None:
        self._root = root
        self._docker: docker.DockerClient | None = None
        self._checked = False
        self._image = ""
        self._clients_image = ""
        """With other people's programs; empty where none is wanted."""
        self._project = ""
        self._ids: dict[str, str] = {}
        self._places: dict[str, NodeLocation] = {}
        self._streams: LogStreams | None = None
        self._dying: set[str] = set()
        """Nodes that were sent a SIGKILL and have not been looked at since."""
        self._creating = False
        """Whether the engine may still be making something for a command that was cut off."""
        self._pids: dict[str, int] = {}
        """Of the nodes' programs, as long as they live."""
        self._marks: dict[str, str] = {}
        """The labels of everything in the lab."""
        self._helper: helper_containers.BatchExecHelper | None = None

    # ── before there is a lab ────────────────────────────────────────────────────────────────────────────────

    @property
    def client(self) -> docker.DockerClient:
        """The SDK's client; connects at its first use. Raises EngineError where no engine answers."""
        if self._docker is None:
            self._docker = connect()
        return self._docker

    def check(self) -> None:
        """See :meth:`base.Engine.check`."""
        if self._checked:
            return
        if shutil.which("docker") is None:
            raise EngineError("the command `docker` is not installed", hint=NO_ENGINE_HINT)
        with translate_errors("no Docker Engine answers"):
            self.client.ping()
        missing = next((finding for finding in diagnosis.compose_findings(self._root) if not finding.ok), None)
        if missing:
            raise EngineError(f"{missing.what}: {missing.found}", hint=missing.remedy)
        self._checked = True

    def examine(self) -> list[Finding]:
        """See :meth:`base.Engine.examine`."""
        return diagnosis.diagnose(self._root, lambda: self.client)

    def sweep(self) -> list[str]:
        """See :meth:`base.Engine.sweep`."""
        with translate_errors("looking for what dead labs left behind"):
            return cleanup.collect_orphans(self.client, lab_store.is_finished)

    def prepare(self, say: ProgressCallback) -> None:
        """See :meth:`base.Engine.prepare`."""
        with translate_errors("the image"):
            self._image = images.ensure_image(self.client, self._root, say)

    def prepare_programs(self, programs: Sequence[str], say: ProgressCallback) -> None:
        """See :meth:`base.Engine.prepare_programs`."""
        with translate_errors(f"the image with {', '.join(programs)}"):
            self._clients_image = images.ensure_image(self.client, self._root, say, images.CLIENTS)

    def environment(self) -> dict[str, str]:
        """See :meth:`base.Engine.environment`."""
        with translate_errors("asking the engine for its version"):
            info = self.client.info()
        return {
            "engine": f"docker {info.get('ServerVersion', '?')}",
            "system": str(info.get("OperatingSystem", "?")),
            "kernel": str(info.get("KernelVersion", "?")),
            "processors": str(info.get("NCPU", "?")),
            "storage": str(info.get("Driver", "?")),
            "image": self._image,
        }

    # ── the network between the nodes ────────────────────────────────────────────────────────────────────────

    def fingerprint(self) -> str | None:
        """See :meth:`base.Engine.fingerprint`."""
        tag = self._image or images.tag_of(self._root)
        with translate_errors("asking the engine for its version"):
            info = self.client.info()
            try:
                self.client.images.get(tag)
            except docker.errors.ImageNotFound:
                return None
        self._image = tag
        return f"{self.name} {info.get('ID', '?')} {info.get('KernelVersion', '?')} {boot_id()} {tag}"

    @contextlib.contextmanager
    def scratch(self) -> Iterator[str]:
        """See :meth:`base.Engine.scratch`."""
        with translate_errors("trying out what the nodes' network can do"), contextlib.ExitStack() as stack:
            name = f"a trial of {self._image}"
            self._ids[name] = stack.enter_context(
                helper_containers.scratch_container(self.client, self._image, lab_home())
            )
            stack.callback(self._ids.pop, name)
            yield name

    def exec_root(self, node: str, argv: Sequence[str], stdin: str, *, timeout: float = 30.0) -> ExecResult:
        """See :meth:`base.Engine.exec_root`."""
        with translate_errors(f"setting the network of {node}"):
            return container_exec.run(
                self.client, self._id(node), argv, timeout=timeout, stdin=stdin, user="0", privileged=True
            )

    def together(self) -> BatchExec | None:
        """See :meth:`base.Engine.together`."""
        if self._helper is None:
            with translate_errors("making the helper that sets the nodes' network"):
                self._helper = helper_containers.BatchExecHelper(self.client, self._image, self._marks, self._pid)
        return self._run_together

    def _run_together(self, scripts: Mapping[str, str]) -> Mapping[str, Result]:
        if self._helper is None:
            raise EngineError("the helper that sets the nodes' network is gone")
        with translate_errors("setting the network of the nodes"):
            return self._helper(scripts)

    def _pid(self, node: str) -> int:
        if node not in self._pids:
            self._pids[node] = self.client.api.inspect_container(self._id(node))["State"]["Pid"]
        return self._pids[node]

    # ── the lab ──────────────────────────────────────────────────────────────────────────────────────────────

    def create(self, spec: LabSpec, say: ProgressCallback) -> None:
        """See :meth:`base.Engine.create`."""
        self._project = spec.project
        owner = helper_containers.owner_labels(spec.mode, spec.home)
        self._marks = {labels.LAB: spec.project, **owner}
        names = [node.name for node in spec.nodes]
        refused: list[IPv4Network] = []
        self._creating = True
        for _ in range(SUBNET_ATTEMPTS):
            with translate_errors("looking for a free subnet"):
                taken = subnets.used_subnets(self.client)
            subnet = subnets.choose_subnet(len(names), [*taken, *refused])
            addresses = subnets.assign_addresses(subnet, names)
            self._places = {name: NodeLocation(str(addresses[name]), compose.FILES, compose.DATA) for name in names}
            topology = compose.Topology(
                self._root / "docker-compose.yml", self._image, subnet, self._places, owner, self._clients_image
            )
            file = spec.record / "compose.yaml"
            file.write_text(compose.render(spec, topology), encoding="utf-8")
            say(f"creating {len(names)} nodes on {subnet}")
            if compose.create(self._root, spec.project, file):
                break
            refused.append(subnet)
        else:
            raise EngineError("every subnet that looked free was taken", hint="see `docker network ls`")
        self._creating = False
        self._find_nodes()

    def adopt(self, project: str, *, missing_ok: bool = False) -> None:
        """See :meth:`base.Engine.adopt`."""
        self._project = project
        self._find_nodes()
        if not self._ids and not missing_ok:
            raise EngineError(f"the lab {project} is gone", hint=f"`{typed_command('up', 'NAME')}` makes a new one")

    def _find_nodes(self) -> None:
        with translate_errors("looking for the lab's nodes"):
            self._find_containers()

    def _find_containers(self) -> None:
        for row in self.client.api.containers(all=True, filters={"label": f"{labels.LAB}={self._project}"}):
            node = row["Labels"].get(labels.NODE)
            if node is None:
                continue  # a helper
            self._ids[node] = row["Id"]
            if node not in self._places:
                configured = self.client.api.inspect_container(row["Id"])["NetworkSettings"]["Networks"].values()
                address = next(
                    (entry["IPAMConfig"]["IPv4Address"] for entry in configured if entry.get("IPAMConfig")), ""
                )
                self._places[node] = NodeLocation(address, compose.FILES, compose.DATA)

    def watch(self, on_line: Callable[[LogLine], None], on_state: Callable[[StateChange], None]) -> None:
        """See :meth:`base.Engine.watch`."""
        with translate_errors("following the nodes"):
            self._streams = LogStreams(self.client, self._project, self._ids, on_line, on_state)
        for node in self._ids:
            if self.state(node).status is not NodeStatus.CREATED:
                self._streams.open(node)

    def unwatch(self) -> None:
        """See :meth:`base.Engine.unwatch`."""
        if self._streams is not None:
            self._streams.close()
            self._streams = None

    def destroy(self, say: ProgressCallback) -> None:
        """See :meth:`base.Engine.destroy`."""
        if self._project:
            with translate_errors("removing the lab"):
                cleanup.remove(self.client, self._project, unsettled=self._creating)
            self._creating = False
            self._ids.clear()

    def close(self) -> None:
        """See :meth:`base.Engine.close`."""
        self.unwatch()
        if self._docker is not None:
            if self._helper is not None:
                with contextlib.suppress(docker.errors.DockerException, requests.RequestException):
                    self._helper.remove()
                self._helper = None
            self._docker.close()
            self._docker = None

    # ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def places(self) -> Mapping[str, NodeLocation]:
        """See :attr:`base.Engine.places`."""
        return self._places

    def state(self, node: str) -> NodeState:
        """See :meth:`base.Engine.state`."""
        try:
            if node in self._dying:
                # The engine answers to a kill before it has seen the end, and says "running" until then.
                self.client.api.wait(self._id(node), timeout=STOP_GRACE_S)
                self._dying.discard(node)
            found = self.client.api.inspect_container(self._id(node))["State"]
        except docker.errors.NotFound:
            return NodeState(NodeStatus.GONE)
        except (docker.errors.DockerException, requests.RequestException) as error:
            raise EngineError(f"the state of {node}: {error_reason(error)}") from error
        status = STATUSES.get(found["Status"], NodeStatus.GONE)
        return NodeState(status, int(found["ExitCode"]) if status is NodeStatus.EXITED else None)

    def life(self, node: str) -> str:
        """See :meth:`base.Engine.life`."""
        with translate_errors(f"the state of {node}"):
            found = self.client.api.inspect_container(self._id(node))
        return f"{found['Id']} {found['State']['StartedAt']}"

    def exec(self, node: str, argv: Sequence[str], *, timeout: float = 10.0) -> ExecResult:
        """See :meth:`base.Engine.exec`."""
        with translate_errors(f"`{' '.join(argv)}` in {node}"):
            return container_exec.run(self.client, self._id(node), argv, timeout=timeout)

    def attach_command(self, node: str, argv: Sequence[str], *, terminal: bool) -> list[str]:
        """See :meth:`base.Engine.attach_command`."""
        return ["docker", "exec", "-it" if terminal else "-i", self._id(node), *argv]

    def logs_command(self, nodes: Sequence[str], *, follow: bool) -> list[str]:
        """See :meth:`base.Engine.logs_command`."""
        return ["docker", "compose", "-p", self._project, "logs", *(["--follow"] if follow else []), *nodes]

    def look(self, node: str, words: str) -> str:
        """See :meth:`base.Engine.look`."""
        first = words.split(maxsplit=1)[0] if words else "console"
        prefix = "" if first in {"request", "file_logs", "console"} else "console "
        return f"docker compose exec {node} {prefix}{words}".rstrip()

    def _id(self, node: str) -> str:
        try:
            return self._ids[node]
        except KeyError:
            raise EngineError(f"the lab {self._project} has no node {node}") from None

    def _start(self, node: str) -> None:
        self._pids.pop(node, None)
        with translate_errors(f"start {node}"):
            self.client.api.start(self._id(node))

    def _kill(self, node: str) -> None:
        with translate_errors(f"kill {node}"):
            self._dying.add(node)
            self.client.api.kill(self._id(node), "SIGKILL")

    def _stop(self, node: str) -> None:
        with translate_errors(f"stop {node}"):
            self.client.api.stop(self._id(node), timeout=STOP_GRACE_S)

    def _pause(self, node: str) -> None:
        with translate_errors(f"pause {node}"):
            self.client.api.pause(self._id(node))

    def _resume(self, node: str) -> None:
        with translate_errors(f"resume {node}"):
            self.client.api.unpause(self._id(node))
