"""Bare nodes on a network of their own.

The tests of the network controller and of the shaper use them.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import docker.errors
from docker.types import IPAMConfig, IPAMPool

import docker
from torrentnet.lab.engines.docker import batch_exec, cleanup, images, labels
from torrentnet.lab.engines.docker.compose import used_subnets
from torrentnet.lab.engines.subnets import assign_addresses, choose_subnet
from torrentnet.lab.engines.types import ExecResult, Mode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from torrentnet.lab.engines.types import BatchExec

ROOT = Path(__file__).resolve().parents[2]
EXEC_TIMEOUT_S = 30.0
ATTEMPTS = 5
HELPER = "helper"
PARALLEL = 4


def say(line: str) -> None:
    print(line, file=sys.stderr)


@dataclass
class Agent:
    """A Python program that runs in a node."""

    node: str
    process: subprocess.Popen[str]

    def line(self) -> str:
        """Return the next line that the program prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self, timeout: float = 60.0) -> Any:
        """Wait for the program's end; return the JSON of the last line that it printed."""
        out, err = self.process.communicate(timeout=timeout)
        assert self.process.returncode == 0, f"{self.node}: {err}"
        return json.loads(out.splitlines()[-1])


class Nodes(ABC):
    """``count`` nodes ``node-1``, ``node-2``, ... on a network of their own.

    The end of the ``with`` block removes them.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.addresses: dict[str, str] = {}
        self.batch_exec: BatchExec | None = None
        """Runs scripts in many nodes by one command; None where that is not possible."""
        self._agents: list[Agent] = []

    def __enter__(self) -> Self:
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for agent in self._agents:
            if agent.process.poll() is None:
                agent.process.kill()
            agent.process.wait()
            for stream in (agent.process.stdin, agent.process.stdout, agent.process.stderr):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
        self._remove()

    @abstractmethod
    def _make(self) -> None: ...

    @abstractmethod
    def _remove(self) -> None: ...

    @abstractmethod
    def restart(self, node: str) -> None:
        """Kill a node and start it again: a new network namespace."""

    @abstractmethod
    def paused(self, node: str) -> contextlib.AbstractContextManager[None]:
        """Freeze a node for the ``with`` block."""

    @abstractmethod
    def root(self, node: str, argv: Sequence[str], stdin: str) -> ExecResult:
        """Run a command as root in a node's network.

        The method is a :class:`torrentnet.lab.network.netns_exec.NodeExec`.
        """

    @abstractmethod
    def agent(self, node: str, program: str, *arguments: object) -> Agent:
        """Start a Python program in a node, as the node's own user."""

    def show(self, node: str, script: str) -> str:
        """Run a shell script as root in a node, and return what it prints."""
        result = self.root(node, ["sh", "-s"], script)
        assert result.status == 0, result.stderr
        return result.stdout

    def _started(self, node: str, process: subprocess.Popen[str]) -> Agent:
        agent = Agent(node, process)
        self._agents.append(agent)
        return agent


class DockerNodes(Nodes):
    """Containers that only wait."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.project = f"torrentnet-calibration-{secrets.token_hex(3)}"
        self.batch_exec = self.all_at_once
        self.client = docker.from_env()
        self._pids: dict[str, int] = {}
        self._once = threading.Lock()
        self._has_helper = False

    def _make(self) -> None:
        tag = images.ensure_image(self.client, ROOT, say)
        self._tag = tag
        self._marks = marks = {labels.LAB: self.project, **labels.owner_labels(Mode.RUN)}
        names = [f"node-{number}" for number in range(1, self.count + 1)]
        for attempt in range(ATTEMPTS):
            subnet = choose_subnet(self.count, used_subnets(self.client))
            pool = IPAMPool(subnet=str(subnet))
            try:
                self.client.networks.create(self.project, labels=marks, ipam=IPAMConfig(pool_configs=[pool]))
                break
            except docker.errors.APIError:  # another lab has taken that subnet meanwhile
                if attempt == ATTEMPTS - 1:
                    raise
        self.addresses = {name: str(address) for name, address in assign_addresses(subnet, names).items()}

        def start(name: str) -> None:
            self._docker_run(name, "--network", self.project, "--ip", self.addresses[name])

        with ThreadPoolExecutor(PARALLEL) as pool_of_threads:
            list(pool_of_threads.map(start, names))

    def _docker_run(self, name: str, *options: str) -> None:
        subprocess.run(
            [
                *("docker", "run", "--detach", "--name", self.container(name), "--hostname", name),
                *(word for mark, value in self._marks.items() for word in ("--label", f"{mark}={value}")),
                *("--label", f"{labels.NODE}={name}", "--cap-drop", "ALL", *options),
                *("--read-only", "--security-opt", "no-new-privileges:true", "--stop-timeout", "0"),
                *("--tmpfs", "/run/torrentnet:uid=10001,gid=10001,mode=0700,size=1m"),
                *("--entrypoint", "sleep", self._tag, "infinity"),
            ],
            check=True,
            capture_output=True,
        )

    def _remove(self) -> None:
        cleanup.remove(self.client, self.project)
        self.client.close()

    def container(self, node: str) -> str:
        return f"{self.project}-{node}"

    def restart(self, node: str) -> None:
        container = self.client.containers.get(self.container(node))
        container.kill()
        container.wait()
        container.start()
        self._pids.pop(node, None)

    @contextlib.contextmanager
    def paused(self, node: str) -> Iterator[None]:
        self.client.api.pause(self.container(node))
        try:
            yield
        finally:
            self.client.api.unpause(self.container(node))

    def root(self, node: str, argv: Sequence[str], stdin: str) -> ExecResult:
        return self._exec(self.container(node), argv, stdin, privileged=True)

    def all_at_once(self, scripts: Mapping[str, str]) -> Mapping[str, ExecResult]:
        """Run a script in each of several nodes by a single exec in the helper.

        The method is a ``BatchExec``.
        """
        self._start_helper()
        work = {node: (self._pid(node), script) for node, script in scripts.items()}
        result = self._exec(
            self.container(HELPER), batch_exec.command(), batch_exec.encode_jobs(work), privileged=False
        )
        return batch_exec.decode_results(result, work)

    def _pid(self, node: str) -> int:
        if node not in self._pids:
            self._pids[node] = self.client.api.inspect_container(self.container(node))["State"]["Pid"]
        return self._pids[node]

    def _start_helper(self) -> None:
        with self._once:
            if self._has_helper:
                return
            rights = [word for name in batch_exec.CAPABILITIES for word in ("--cap-add", name)]
            self._docker_run(HELPER, "--network", "none", "--pid", "host", "--user", "0", *rights)
            self._has_helper = True

    def _exec(self, container: str, argv: Sequence[str], stdin: str, *, privileged: bool) -> ExecResult:
        api = self.client.api
        ident = api.exec_create(container, list(argv), stdin=True, privileged=privileged, user="0")["Id"]
        raw: Any = api.exec_start(ident, socket=True)
        connection: socket.socket = getattr(raw, "_sock", raw)
        try:
            connection.settimeout(EXEC_TIMEOUT_S)
            connection.sendall(stdin.encode())
            connection.shutdown(socket.SHUT_WR)
            data = bytearray()
            while part := connection.recv(65536):
                data += part
        finally:
            raw._response.close()
            raw.close()
        streams = {1: bytearray(), 2: bytearray()}
        while data:
            size = int.from_bytes(data[4:8], "big")
            streams[data[0]] += data[8 : 8 + size]
            del data[: 8 + size]
        return ExecResult(api.exec_inspect(ident)["ExitCode"], streams[1].decode(), streams[2].decode())

    def agent(self, node: str, program: str, *arguments: object) -> Agent:
        words = ["docker", "exec", "-i", self.container(node), "python3", "-c", program, *map(str, arguments)]
        return self._started(
            node,
            subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True),
        )
