"""Many nodes by one command: a privileged exec for each costs 30 to 60 ms of processor time, whatever it runs.

A helper container that sees the host's processes enters the network namespace of one node after the other. It needs no
network and, beside an ordinary container, ``--pid host --user 0`` and the capabilities :data:`CAPABILITIES`. It also
reaches nodes that are paused, where the engine refuses an exec.

A process id may mean another process by the time that the helper uses it. That does no harm: each script first looks
for the node's own address and ends where it does not find it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from torrentnet.lab.engines.docker import batch_exec_script
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

Result = tuple[int, str, str]
"""Exit status, standard output, standard error."""

CAPABILITIES = ("SYS_ADMIN", "SYS_PTRACE", "NET_ADMIN", "NET_RAW")
"""To enter a namespace, to look one up in /proc, to set a network, and what iptables needs."""


class BatchExec(Protocol):
    """Runs one script in each of several nodes, each as root in the node's network namespace."""

    def __call__(self, scripts: Mapping[str, str]) -> Mapping[str, Result]:
        """Name to script in, name to result out, for the same names. Raises LabError where nothing could be run."""
        ...


def command() -> tuple[str, ...]:
    """What is run in the helper."""
    return ("python3", "-I", "-S", "-c", Path(batch_exec_script.__file__).read_text(encoding="utf-8"))


def encode(work: Mapping[str, tuple[int, str]]) -> str:
    """The helper's standard input: name to the id of any process of that node, as the host counts, and script."""
    return json.dumps(work)


def decode(status: int, output: str, errors: str, names: Mapping[str, object]) -> dict[str, Result]:
    """What the helper has printed. Raises EngineError where that is not a result for each of ``names``."""
    try:
        found = {name: (int(code), str(out), str(err)) for name, (code, out, err) in json.loads(output).items()}
    except (ValueError, TypeError, AttributeError):
        found = {}
    if status != 0 or found.keys() != names.keys():
        said = errors.strip().splitlines()
        raise EngineError(
            f"the helper that sets the nodes' network failed (status {status})" + (f": {said[-1]}" if said else "")
        )
    return found
