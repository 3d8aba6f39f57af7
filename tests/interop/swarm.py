"""A swarm of containers on a network of its own."""

from __future__ import annotations

import hashlib
import io
import secrets
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.rig.network import make_network
from bench.rig.watched_process import WatchedProcess
from torrentnet.lab.engines.docker import cleanup, labels
from torrentnet.lab.engines.subnets import assign_addresses
from torrentnet.lab.engines.types import Mode

if TYPE_CHECKING:
    from ipaddress import IPv4Address

    import docker

ROOT = Path(__file__).resolve().parents[2]
NODES = ("tracker", "seed", "aria", "leecher", "other")
TRACKER_PORT, PEER_PORT, DHT_PORT = 6771, 6881, 6882
ARIA = (
    "aria2c",
    "--no-conf",
    "--enable-peer-exchange=false",
    "--bt-enable-lpd=false",
    "--enable-dht=true",  # aria2 needs it for UDP trackers; it knows no node, and the info dictionary is private
    "--enable-dht6=false",
    "--dht-file-path=/tmp/dht.dat",
    f"--dht-listen-port={DHT_PORT}",
    f"--listen-port={PEER_PORT}",
    "--file-allocation=none",
    "--bt-tracker-interval=5",
    "--summary-interval=0",
    "--dir=/data",
)


class Container(WatchedProcess):
    """A running container whose output is watched."""

    def __init__(self, client: docker.DockerClient, name: str, identity: str, address: IPv4Address) -> None:
        self._api = client.api
        self._identity = identity
        self.name = name
        self.endpoint = f"{address}:{PEER_PORT}"
        super().__init__(name, ["docker", "logs", "--follow", identity])

    def ended(self, timeout: int = 60) -> int:
        """Wait for the end; return the exit status."""
        return int(self._api.wait(self._identity, timeout=timeout)["StatusCode"])

    def interrupt(self) -> None:
        """Send SIGINT and wait for the end of the program.

        On SIGTERM, aria2 would exit without a stopped event.
        """
        self._api.kill(self._identity, "SIGINT")
        self.ended()

    def read(self, path: str) -> bytes:
        """Return a file's content."""
        chunks, _ = self._api.get_archive(self._identity, path)
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            member = archive.extractfile(archive.getmembers()[0])
            assert member is not None
            return member.read()

    def digest(self, path: str) -> str:
        """Return a file's SHA-256."""
        return hashlib.sha256(self.read(path)).hexdigest()


class Swarm:
    """A network and its containers, each with an address of its own.

    :meth:`close` removes all of them.
    """

    def __init__(self, client: docker.DockerClient, image: str) -> None:
        self._client = client
        self._image = image
        self.project = f"torrentnet-interop-{secrets.token_hex(3)}"
        self._labels = {
            labels.LAB: self.project,
            **labels.owner_labels(Mode.RUN, ROOT),
        }
        self._containers: list[Container] = []
        self._network, subnet = make_network(client, self.project, len(NODES), self._labels)
        self._addresses = assign_addresses(subnet, NODES)

    @property
    def tracker_address(self) -> str:
        return f"{self._addresses['tracker']}:{TRACKER_PORT}"

    def listen_address(self, node: str) -> str:
        """Return the address that the peer in a container listens on."""
        return f"{self._addresses[node]}:{PEER_PORT}"

    def run(self, node: str, *command: str, files: dict[str, bytes] | None = None) -> Container:
        """Start a container with ``files`` in its /data."""
        api = self._client.api
        address = self._addresses[node]
        endpoint = api.create_endpoint_config(ipv4_address=str(address))
        made = api.create_container(
            self._image,
            list(command),
            name=f"{self.project}-{node}",
            hostname=node,
            labels={**self._labels, labels.NODE: node},
            host_config=api.create_host_config(
                network_mode=self.project,
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                init=True,
            ),
            networking_config=api.create_networking_config({self.project: endpoint}),  # type: ignore[arg-type]  # as documented
        )["Id"]
        if files:
            api.put_archive(made, "/data", _archive(files))
        api.start(made)
        container = Container(self._client, node, made, address)
        self._containers.append(container)
        return container

    def tracker(self) -> Container:
        """Start the tracker, and wait until it listens."""
        container = self.run("tracker", "tracker.py", self.tracker_address, "--keepalive", "500ms", "--timeout", "2s")
        container.until("listening")
        return container

    def close(self) -> None:
        """Remove the containers and the network."""
        try:
            cleanup.remove(self._client, self.project)
        finally:
            for container in self._containers:
                container.end()


def _archive(files: dict[str, bytes]) -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.uid, member.gid, member.mode = len(content), 10_001, 10_001, 0o644
            archive.addfile(member, io.BytesIO(content))
    return memory.getvalue()
