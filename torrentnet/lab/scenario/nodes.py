"""``nodes:`` who is on the network."""

from typing import Annotated

from pydantic import Field, Tag

from torrentnet.lab.plan import Program
from torrentnet.lab.scenario.keyed import by_key
from torrentnet.lab.scenario.types import (
    Count,
    Duration,
    FileName,
    Flag,
    Part,
    PieceLength,
    Size,
    Time,
    UploadRate,
    choice,
)

CLIENTS = (Program.OURS, Program.ARIA2, Program.TRANSMISSION, Program.LIBTORRENT)
TRACKERS = (Program.OURS, Program.OPENTRACKER)


class TrackerOptions(Part):
    """Which tracker, and how it counts its peers' keep-alives."""

    program: Annotated[str, choice(*TRACKERS)] | None = Field(
        None,
        description="whose tracker it is; opentracker knows no names, and our peers get a .torrent",
        json_schema_extra={"enum": [*TRACKERS]},
    )

    keepalive: Duration = Field(
        5.0, description="how often a peer says that it is alive", json_schema_extra={"default": "5s"}
    )
    timeout: Duration = Field(
        15.0,
        description="silence after which a peer is forgotten; longer than keepalive",
        json_schema_extra={"default": "15s"},
    )


class TrackerNode(Part):
    """The tracker; every lab has one, under the name `tracker`."""

    tracker: TrackerOptions


class Peers(Part):
    """What all peers have in common."""

    count: Count | None = Field(None, description="makes NAME-1 to NAME-count; without it there is one node, NAME")
    start: Time | None = Field(None, description="when the first one starts, after t = 0")
    stagger: Duration | None = Field(None, description="how much later each further one starts")
    upload: UploadRate | None = Field(None, description="the most that one node sends")
    client: Annotated[str, choice(*CLIENTS)] | None = Field(
        None, description="whose program it is", json_schema_extra={"enum": [*CLIENTS]}
    )


class ShareNode(Peers):
    """Peers that have a file and share it. Without `start` they are up before t = 0."""

    share: FileName
    piece_length: PieceLength | None = Field(None, description="a power of two; chosen by size if left out")
    corrupt: Flag | None = Field(None, description="whether it sends every piece with a byte changed")


class GetNode(Peers):
    """Peers that get a file and then share it."""

    get: FileName
    timeout: Duration | None = Field(None, description="silence of a seed after which another one is asked")
    give_up: Duration | None = Field(None, description="how long without a new piece before the download has failed")
    min_rate: UploadRate | None = Field(
        None, description="a source that is slower is left while there is another one to try"
    )
    disk: Size | None = Field(None, description="the size of the node's own file system; no limit if left out")
    strategy: Annotated[str, choice("single", "swarm")] | None = Field(
        None, json_schema_extra={"enum": ["single", "swarm"]}
    )


NODES: dict[str, type[Part]] = {"tracker": TrackerNode, "share": ShareNode, "get": GetNode}

Node = Annotated[
    Annotated[TrackerNode, Tag("role:tracker")]
    | Annotated[ShareNode, Tag("role:share")]
    | Annotated[GetNode, Tag("role:get")],
    by_key("role:", NODES),
]
