"""The messages between a lab and its supervisor.

The lab's file (``lab.json`` in the lab's directory of the registry) says what to supervise. After that, each request is
one connection to the supervisor's socket, and each message one packet: a JSON object there, a JSON object back.

==========  ====================================  =====================================================================
request     with                                  reply
==========  ====================================  =====================================================================
``start``   ``node``                              ``{}`` once the program runs
``kill``    ``node``                              ``{}`` once the program has ended
``stop``    ``node``                              the same; SIGKILL follows SIGTERM after a grace
``pause``   ``node``                              ``{}``
``resume``  ``node``                              ``{}``
``states``                                        ``{"states": {NODE: [STATUS, EXIT CODE OR null]}}``
``exec``    ``node``, ``argv``, ``root``, and     ``{"status": N}`` at the command's end; closing the connection ends it
            three descriptors: its streams
``sniff``   ``snap``, ``addresses``, and three    ``{}`` once it has started; closing the connection ends it
            descriptors: its streams
``watch``                                         ``{"numbers": {NODE: N}}``: the numbers of the journal's last entries
                                                  now; then the journal, from the oldest entry that is kept, for as
                                                  long as the connection is open
``release``                                       ``{}``: the nodes outlive the process that made the lab
``end``                                           ``{}`` once all nodes have ended; then the supervisor ends
==========  ====================================  =====================================================================

Any failure is replied with ``{"error": TEXT}``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from torrentnet.lab.scenario.plan.limits import LOG, MEMORY, OPEN_FILES, PROCESSES, PROCESSORS

LAB_FILE: Final = "lab.json"
SUPERVISOR_FILE: Final = "supervisor"
"""Identifies the supervisor's process, see :mod:`torrentnet.lab.engines.owner`."""
RELEASED_FILE: Final = "released"
SOCKET: Final = "supervisor.sock"
JOURNAL: Final = "journal"
"""The folder of the nodes' output."""
SUPERVISOR_LOG: Final = "supervisor.log"
ROOT: Final = "root"
"""Where the root directory of the nodes' sandboxes is mounted."""
CONSOLE: Final = "console.sock"

NAMESPACES: Final = "namespaces"
LOOPBACK: Final = "loopback"

MESSAGE_LIMIT: Final = 128 * 1024
"""Bytes of one packet; Linux accepts 200 KiB by default."""
CHUNK: Final = 32 * 1024
READY: Final = "ready"


@dataclass(frozen=True, slots=True)
class SupervisedNode:
    """A node, as its supervisor knows it."""

    name: str
    address: str
    argv: tuple[str, ...]
    data: str
    """The node's directory, as this machine sees it."""
    disk: int | None
    """Bytes of its directory, which is then in memory; None for a directory without a limit."""
    memory: int = MEMORY
    """Bytes of each of its processes."""
    open_files: int = OPEN_FILES
    """Open files of each of its processes."""
    log: int = LOG
    """Bytes of its output that are kept."""
    processes: int = PROCESSES
    cpus: float = PROCESSORS
    observer: bool = False
    """Whether it runs our observer, which sees the node's packets."""


@dataclass(frozen=True, slots=True)
class SupervisedLab:
    """A lab, as its supervisor and the registry know it."""

    project: str
    owner: str
    """The process that made the lab."""
    home: str
    """The lab's home directory."""
    network: str
    """:data:`NAMESPACES` or :data:`LOOPBACK`."""
    subnet: str
    root: str
    """The directory of our package."""
    python: str
    bin: str
    """Directory with the commands ``tracker.py``, ``peer.py``, ``console``, ``request``, ``file_logs``."""
    files: str
    """Directory with the lab's files; empty where there are none."""
    path: str
    """PATH for everything else that a node runs."""
    nodes: tuple[SupervisedNode, ...]
    cgroups: dict[str, str] = field(default_factory=dict)
    """Where the nodes' control groups are, see :mod:`torrentnet.lab.engines.local.supervisor.cgroups`."""
    user_processes: int = 0
    """The most processes of all nodes together, where nothing limits those of one node; 0 for no limit."""
    gate: str = ""
    """See :attr:`torrentnet.lab.engines.types.LabSpec.gate`."""
    state: str = ""
    """The state folder of the lab's home."""
    state_parent: str = ""
    """Device and inode of the directory that the state folder is in: another one there says nothing of this lab."""

    def dumps(self) -> str:
        """Return the text of the lab's file."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def loads(cls, text: str) -> SupervisedLab:
        """Parse what :meth:`dumps` returned. Raises ValueError for anything else."""
        try:
            fields = json.loads(text)
            nodes = tuple(SupervisedNode(**{**node, "argv": tuple(node["argv"])}) for node in fields.pop("nodes"))
            return cls(**fields, nodes=nodes)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a lab's file: {error}") from error


def encode(message: dict[str, Any]) -> bytes:
    """Return a message as a packet."""
    return json.dumps(message).encode()


def decode(packet: bytes) -> dict[str, Any]:
    """Return a packet's message. Raises ValueError."""
    message = json.loads(packet)
    if not isinstance(message, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004  # a malformed packet raises one type of error
    return message
