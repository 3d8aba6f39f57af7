"""What a lab and its keeper say to each other.

The lab's file (``lab.json`` in the lab's directory of the registry) tells the keeper what to keep. Afterwards each
request is one connection to the keeper's socket, and each message one packet: a JSON object there, a JSON object back.

==========  ====================================  =====================================================================
request     with                                  answer
==========  ====================================  =====================================================================
``start``   ``node``                              ``{}`` once the program runs
``kill``    ``node``                              ``{}`` once the program has ended
``stop``    ``node``                              the same; SIGKILL follows SIGTERM after a grace
``pause``   ``node``                              ``{}``
``resume``  ``node``                              ``{}``
``states``                                        ``{"states": {NODE: [STATUS, EXIT CODE OR null]}}``
``exec``    ``node``, ``argv``, ``root``, and     ``{"status": N}`` at the command's end; closing the connection ends it
            three descriptors: its streams
``watch``                                         ``{"end": N}``: the journal's size now; then the journal, from its
                                                  beginning, for as long as the connection is open
``release``                                       ``{}``: the nodes outlive the process that made the lab
``end``                                           ``{}`` once all nodes have ended; then the keeper ends
==========  ====================================  =====================================================================

Whatever fails is answered with ``{"error": TEXT}``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

LAB_FILE = "lab.json"
SUPERVISOR_FILE = "keeper"
"""Who keeps the lab, in the words of :mod:`torrentnet.lab.engines.owner`."""
RELEASED_FILE = "released"
SOCKET = "keeper.sock"
JOURNAL = "journal"
SUPERVISOR_LOG = "keeper.log"
ROOT = "root"
"""Where the nodes' view of the file system is put together."""
CONSOLE = "console.sock"

NAMESPACES = "namespaces"
LOOPBACK = "loopback"

MESSAGE_LIMIT = 128 * 1024
"""Of one packet; Linux takes 200 KiB by default."""
CHUNK = 32 * 1024
READY = "ready"


@dataclass(frozen=True, slots=True)
class SupervisedNode:
    """A node, as its keeper knows it."""

    name: str
    address: str
    argv: tuple[str, ...]
    data: str
    """Its own directory, as this machine sees it."""
    disk: int | None
    """See :attr:`torrentnet.lab.engines.types.NodeSpec.disk`."""


@dataclass(frozen=True, slots=True)
class SupervisedLab:
    """A lab, as its keeper and the registry know it."""

    project: str
    owner: str
    """The process that made it."""
    home: str
    network: str
    """:data:`NAMESPACES` or :data:`LOOPBACK`."""
    subnet: str
    root: str
    """The checkout."""
    python: str
    bin: str
    """The directory with the commands ``tracker.py``, ``peer.py``, ``console``, ``request``, ``file_logs``."""
    files: str
    path: str
    """PATH for what else a node runs."""
    nodes: tuple[SupervisedNode, ...]
    gate: str = ""
    """See :class:`torrentnet.lab.engines.types.LabSpec`."""

    def dumps(self) -> str:
        """The text of the lab's file."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def loads(cls, text: str) -> SupervisedLab:
        """What :meth:`dumps` wrote. Raises ValueError for anything else."""
        try:
            fields = json.loads(text)
            nodes = tuple(SupervisedNode(**{**node, "argv": tuple(node["argv"])}) for node in fields.pop("nodes"))
            return cls(**fields, nodes=nodes)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"no lab's file: {error}") from error


def encode(message: dict[str, Any]) -> bytes:
    """A message as a packet."""
    return json.dumps(message).encode()


def decode(packet: bytes) -> dict[str, Any]:
    """A packet's message. Raises ValueError."""
    message = json.loads(packet)
    if not isinstance(message, dict):
        raise ValueError("no object")  # noqa: TRY004  # a packet is wrong in one way
    return message


def console_path(lab: SupervisedLab, directory: str, node: str) -> str:
    """A node's console socket, as this machine sees it."""
    del lab
    return f"{directory}/{node}/{CONSOLE}"
