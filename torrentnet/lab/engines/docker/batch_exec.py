"""Scripts in many nodes' networks by one command.

A privileged exec for each node costs 30 to 60 ms of processor time, whatever it runs. Instead, a helper container that
sees the host's processes enters one network namespace after the other. It needs no network; beside an ordinary
container it has ``--pid host --user 0`` and :data:`CAPABILITIES`. It also reaches paused nodes, where Docker refuses an
exec.

A process id may belong to another process by the time the helper uses it. That is harmless: each script first looks
for the node's own address, and ends where it does not find it.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import docker.errors

from torrentnet.lab.engines.docker import batch_exec_script, container_exec
from torrentnet.lab.engines.docker.helper_containers import create_helper
from torrentnet.lab.engines.types import ExecResult
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CAPABILITIES: Final = ("SYS_ADMIN", "SYS_PTRACE", "NET_ADMIN", "NET_RAW")
"""To enter a namespace, to find it in /proc, to set a network, and what iptables needs."""
TIMEOUT: Final = 30.0


class BatchExecHelper:
    """A :class:`torrentnet.lab.engines.types.BatchExec` that is a helper container."""

    def __init__(
        self, client: docker.DockerClient, image: str, labels: Mapping[str, str], pid: Callable[[str], int]
    ) -> None:
        """Create and start the container.

        ``pid`` returns the process id of a node's program on the engine's machine.
        """
        self._client = client
        self._pid = pid
        self._container = create_helper(client, image, labels, CAPABILITIES, "host")
        client.api.start(self._container)

    def __call__(self, scripts: Mapping[str, str]) -> Mapping[str, ExecResult]:
        """See :class:`torrentnet.lab.engines.types.BatchExec`."""
        jobs = {node: (self._pid(node), script) for node, script in scripts.items()}
        result = container_exec.run(self._client, self._container, command(), timeout=TIMEOUT, stdin=encode_jobs(jobs))
        return decode_results(result, jobs)

    def remove(self) -> None:
        """Remove the container, unless it has gone with its lab."""
        with contextlib.suppress(docker.errors.NotFound):
            self._client.api.remove_container(self._container, v=True, force=True)


def command() -> tuple[str, ...]:
    """Return the command line that runs the script in the helper."""
    return ("python3", "-I", "-S", "-c", Path(batch_exec_script.__file__).read_text(encoding="utf-8"))


def encode_jobs(jobs: Mapping[str, tuple[int, str]]) -> str:
    """Return the script's standard input.

    ``jobs`` maps each node to the id of any of its processes and a shell script.
    """
    return json.dumps(jobs)


def decode_results(answer: ExecResult, nodes: Mapping[str, object]) -> dict[str, ExecResult]:
    """Parse the script's output into one result for each node.

    Raises EngineError where the output is not one result for each of ``nodes``.
    """
    try:
        results = {
            node: ExecResult(int(status), str(out), str(err))
            for node, (status, out, err) in json.loads(answer.stdout).items()
        }
    except (ValueError, TypeError, AttributeError):
        results = {}
    if answer.status != 0 or results.keys() != nodes.keys():
        lines = answer.stderr.strip().splitlines()
        raise EngineError(
            f"the helper that sets the nodes' network failed (status {answer.status})"
            + (f": {lines[-1]}" if lines else "")
        )
    return results
