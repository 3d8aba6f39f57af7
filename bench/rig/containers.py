"""Containers for a measurement, on a bridge of their own.

All of them are removed at the end, whatever happened.

They carry the lab's labels with this process as their owner. The next benchmark, and the next start of any lab,
therefore removes what a killed benchmark has left.
"""

from __future__ import annotations

import contextlib
import io
import secrets
import tarfile
import threading
import time
from typing import TYPE_CHECKING, Self

import docker.errors

from bench import ROOT
from bench.rig.cgroup import ControlGroup, ResourceUsage, anonymous_memory
from bench.rig.network import make_network
from bench.rig.watched_process import WatchedProcess
from bench.section import CannotMeasureError
from torrentnet.lab import home
from torrentnet.lab.engines.docker import cleanup, container_exec, images, labels
from torrentnet.lab.engines.docker.engine import DockerEngine
from torrentnet.lab.engines.docker.labels import owner_labels
from torrentnet.lab.engines.owner import Owner
from torrentnet.lab.engines.types import Mode
from torrentnet.lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from ipaddress import IPv4Address
    from types import TracebackType

PROJECT = "torrentnet-bench-"
MEMORY = "/mem"
"""Where containers see the files that :meth:`Rig.memory` keeps in memory."""
USER = 10_001
"""The image's ordinary user."""
START_S = 30.0
EXEC_S = 120.0
FIRST_HOST = 2
"""The subnet's first address is the bridge's."""
SAMPLE_EVERY_S = 0.02
FIRST_DATA = 64 * 1024
"""Bytes received at which data has begun to flow: more than any greeting."""


def engine() -> DockerEngine:
    """Return a Docker engine that answers.

    Raises CannotMeasureError if there is none.
    """
    made = DockerEngine(ROOT)
    try:
        made.check()
    except LabError as error:
        made.close()
        raise CannotMeasureError(f"{error.message}; {error.hint}") from error
    return made


def remove_orphans(say: Callable[[str], None]) -> None:
    """Remove what benchmarks and labs of dead owners have left.

    Nothing is done if no engine answers.
    """
    with contextlib.suppress(CannotMeasureError):
        made = engine()
        try:
            home.remove_orphans(made, ROOT, say)
        finally:
            made.close()


def remove_own() -> None:
    """Remove everything that this process has created.

    Nothing is done if no engine answers.
    """
    myself = str(Owner.myself())
    with contextlib.suppress(CannotMeasureError):
        made = engine()
        try:
            for remains in cleanup.find(made.client):
                if remains.labels.get(labels.OWNER) == myself:
                    cleanup.remove(made.client, remains.project)
        finally:
            made.close()


class Container(WatchedProcess):
    """A running container.

    Its lines, and the events among them, are those of :class:`WatchedProcess`.
    """

    def __init__(self, client: docker.DockerClient, name: str, ident: str, address: IPv4Address) -> None:
        self._client = client
        self.name = name
        self.ident = ident
        self.ip = str(address)
        self.pid = int(client.api.inspect_container(ident)["State"]["Pid"])
        """Of its program, as this machine counts; 0 when it has ended already."""
        self.group: ControlGroup | None = ControlGroup.of(self.pid) if self.pid else None
        super().__init__(name, ["docker", "logs", "--follow", ident])

    def usage(self) -> ResourceUsage:
        """What it has used until now. Raises CannotMeasureError when it has ended."""
        if self.group is None:
            raise CannotMeasureError(f"{self.name} ended at once:\n" + "\n".join(self.lines + self.errors))
        return self.group.read()

    def until_text(self, text: str, deadline: float) -> str:
        """Wait for a line that contains ``text``, and return the line.

        Raises NotSeenError with all that the program printed instead.
        """
        return self.until_line(lambda line: text in line, repr(text), deadline)

    def pause(self) -> None:
        """Freeze all processes of the container."""
        self._client.api.pause(self.ident)

    def resume(self) -> None:
        """Let the processes continue after :meth:`pause`."""
        self._client.api.unpause(self.ident)

    def ended(self, timeout: int) -> int:
        """Wait for the container to end and return its exit status."""
        return int(self._client.api.wait(self.ident, timeout=timeout)["StatusCode"])

    def leave(self, timeout: int = 20) -> None:
        """End the program with SIGTERM, so that it leaves its swarm, and wait for its end."""
        self._client.api.kill(self.ident, "SIGTERM")
        self.ended(timeout)

    def run(self, *argv: str, user: str = "", timeout: float = EXEC_S) -> str:
        """Run a command in the container and return its standard output.

        Raises CannotMeasureError if the command fails.
        """
        answer = container_exec.run(self._client, self.ident, argv, timeout=timeout, user=user)
        if answer.status:
            raise CannotMeasureError(
                f"`{' '.join(argv)}` in {self.name} failed: {answer.stderr.strip() or answer.stdout}"
            )
        return answer.stdout

    def remove(self) -> None:
        """Kill and remove the container."""
        with contextlib.suppress(docker.errors.NotFound):
            self._client.api.remove_container(self.ident, v=True, force=True)
        self.end()


class Rig:
    """A bridge, and the containers on it. Use it as a context manager.

    ``nodes`` is how many addresses it needs to have.
    """

    def __init__(self, say: Callable[[str], None], nodes: int = 200) -> None:
        self._say = say
        self._nodes = nodes
        self._boxes: list[Container] = []
        self._used = FIRST_HOST
        self._volumes: dict[str, str] = {}
        self.project = PROJECT + secrets.token_hex(3)

    def __enter__(self) -> Self:
        self._engine = engine()
        self.client = self._engine.client
        self._labels = {labels.LAB: self.project, **owner_labels(Mode.RUN, ROOT)}
        try:
            _, self._subnet = make_network(self.client, self.project, self._nodes, self._labels)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the containers and the network."""
        try:
            cleanup.remove(self.client, self.project)
        finally:
            for box in self._boxes:
                box.end()
            self._engine.close()

    def node_image(self) -> str:
        """Return the image with our own programs.

        The image is built first if its sources have changed.
        """
        return images.ensure_image(self.client, ROOT, self._say)

    def clients_image(self) -> str:
        """Return the image with our own programs and other people's.

        The latter are aria2, Transmission, libtorrent and opentracker.
        """
        return images.ensure_image(self.client, ROOT, self._say, images.CLIENTS)

    def address(self) -> IPv4Address:
        """Return an unused address on the bridge.

        A program needs this if it must know its address before its container exists.
        """
        self._used += 1
        return self._subnet[self._used - 1]

    def memory(self, image_name: str, size: int) -> Container:
        """Create files in memory that all containers started later share.

        The files are in a tmpfs of ``size`` bytes, which the containers have at :data:`MEMORY`.

        Returns a container in which commands can be run on these files; the files exist as long as the container.
        """
        self.client.api.create_volume(
            self.project,
            driver_opts={"type": "tmpfs", "device": "tmpfs", "o": f"size={size},uid={USER},gid={USER},mode=0755"},
            labels=self._labels,
        )
        self._volumes[self.project] = MEMORY
        return self.start("files", ["sleep", "infinity"], image_name=image_name)

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        image_name: str,
        address: IPv4Address | None = None,
        cpuset: str = "",
        cpus: float = 0.0,
        memory: int = 0,
        environment: Mapping[str, str] | None = None,
        files: Mapping[str, bytes] | None = None,
        nofile: int = 0,
        capabilities: Sequence[str] = (),
    ) -> Container:
        """Start a container that is to run until it is removed.

        ``cpuset``: the processors that it may run on (``0-1``). ``cpus``: so much of a processor's time, as a limit.
        ``memory``: bytes at which it is killed. ``files`` are put into ``/data``, where its program begins.
        """
        api = self.client.api
        where = address or self.address()
        made = api.create_container(
            image_name,
            list(command),
            name=f"{self.project}-{name}",
            hostname=name,
            labels={**self._labels, labels.NODE: name},
            environment=dict(environment or {}),
            volumes=list(self._volumes.values()),
            host_config=api.create_host_config(
                network_mode=self.project,
                cap_drop=["ALL"],
                cap_add=list(capabilities),
                security_opt=["no-new-privileges"],
                cpuset_cpus=cpuset or None,
                nano_cpus=int(cpus * 1e9) or None,
                mem_limit=memory or None,
                ulimits=[docker.types.Ulimit(name="nofile", soft=nofile, hard=nofile)] if nofile else None,
                binds={volume: {"bind": place, "mode": "rw"} for volume, place in self._volumes.items()},
            ),
            networking_config=api.create_networking_config(
                {self.project: api.create_endpoint_config(ipv4_address=str(where))}  # type: ignore[arg-type]  # as its docs have it
            ),
        )["Id"]
        if files:
            api.put_archive(made, "/data", _archive(files))
        api.start(made)
        box = Container(self.client, name, made, where)
        self._boxes.append(box)
        return box


class Sampler:
    """A sampler of containers while they work.

    It records their own memory, and when data began to arrive.

    A thread of this process reads three small files of each container, every :data:`SAMPLE_EVERY_S`. Use the sampler as
    a context manager.
    """

    def __init__(self, boxes: Sequence[Container]) -> None:
        self._boxes = boxes
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._before: dict[str, int] = {}
        self.own_bytes: dict[str, int] = {box.name: 0 for box in boxes}
        """The most memory of its own (``RssAnon``) that each was seen with."""
        self.first_data: dict[str, float] = {}
        """When (seconds since the epoch) each had received something that can only be data."""

    def __enter__(self) -> Self:
        self._before = {box.name: received_bytes(box.pid) for box in self._boxes}
        self.seconds = -time.monotonic()
        """How long it has looked, once it has ended."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.monotonic()
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(SAMPLE_EVERY_S):
            for box in self._boxes:
                if box.group is not None:
                    own = anonymous_memory(box.group.processes())
                    self.own_bytes[box.name] = max(self.own_bytes[box.name], own)
                if box.name not in self.first_data and received_bytes(box.pid) - self._before[box.name] > FIRST_DATA:
                    self.first_data[box.name] = time.time()


def received_bytes(pid: int) -> int:
    """Return the bytes that a process's first network interface has received.

    The interface is in the process's network namespace. The result is 0 when the process has ended.
    """
    try:
        with open(f"/proc/{pid}/net/dev", encoding="ascii") as table:
            return sum(int(line.split(":")[1].split()[0]) for line in table if "eth" in line.split(":")[0])
    except OSError:
        return 0


def _archive(files: Mapping[str, bytes]) -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.uid, member.gid, member.mode = len(content), USER, USER, 0o644
            archive.addfile(member, io.BytesIO(content))
    return memory.getvalue()
