"""``nodes:`` who is on the network."""

from typing import Annotated

from pydantic import Field, Tag

from torrentnet.lab.scenario.language.models.tags import discriminate_by_key
from torrentnet.lab.scenario.language.models.values import (
    Count,
    Duration,
    FileName,
    Flag,
    PieceLength,
    Size,
    StrictModel,
    Time,
    UploadRate,
    one_of,
)
from torrentnet.lab.scenario.plan import NodeProgram

PEER_PROGRAMS = (NodeProgram.OURS, NodeProgram.ARIA2, NodeProgram.TRANSMISSION, NodeProgram.LIBTORRENT)
TRACKER_PROGRAMS = (NodeProgram.OURS, NodeProgram.OPENTRACKER)


class TrackerOptionsModel(StrictModel):
    """Which tracker, and how it counts its peers' keep-alives."""

    program: Annotated[str, one_of(*TRACKER_PROGRAMS)] | None = Field(
        None,
        description="whose tracker it is; opentracker knows no names, and our peers get a .torrent",
        json_schema_extra={"enum": [*TRACKER_PROGRAMS]},
    )

    keepalive: Duration = Field(
        5.0, description="how often a peer says that it is alive", json_schema_extra={"default": "5s"}
    )
    timeout: Duration = Field(
        15.0,
        description="silence after which a peer is forgotten; longer than keepalive",
        json_schema_extra={"default": "15s"},
    )


class TrackerModel(StrictModel):
    """The tracker; every lab has one, under the name `tracker`."""

    tracker: TrackerOptionsModel


class PeerModel(StrictModel):
    """What all peers have in common."""

    count: Count | None = Field(None, description="makes NAME-1 to NAME-count; without it there is one node, NAME")
    start: Time | None = Field(None, description="when the first one starts, after t = 0")
    stagger: Duration | None = Field(None, description="how much later each further one starts")
    upload: UploadRate | None = Field(None, description="the most that one node sends")
    client: Annotated[str, one_of(*PEER_PROGRAMS)] | None = Field(
        None, description="whose program it is", json_schema_extra={"enum": [*PEER_PROGRAMS]}
    )


class ShareModel(PeerModel):
    """Peers that have a file and share it. Without `start` they are up before t = 0."""

    share: FileName
    piece_length: PieceLength | None = Field(None, description="a power of two; chosen by size if left out")
    corrupt: Flag | None = Field(None, description="whether it sends every piece with a byte changed")


class GetModel(PeerModel):
    """Peers that get a file and then share it."""

    get: FileName
    timeout: Duration | None = Field(None, description="silence of a seed after which another one is asked")
    give_up: Duration | None = Field(None, description="how long without a new piece before the download has failed")
    min_rate: UploadRate | None = Field(
        None, description="a source that is slower is left while there is another one to try"
    )
    disk: Size | None = Field(None, description="the size of the node's own file system; no limit if left out")
    strategy: Annotated[str, one_of("single", "swarm")] | None = Field(
        None, json_schema_extra={"enum": ["single", "swarm"]}
    )


NODE_MODELS: dict[str, type[StrictModel]] = {"tracker": TrackerModel, "share": ShareModel, "get": GetModel}

NodeModel = Annotated[
    Annotated[TrackerModel, Tag("role:tracker")]
    | Annotated[ShareModel, Tag("role:share")]
    | Annotated[GetModel, Tag("role:get")],
    discriminate_by_key("role:", NODE_MODELS),
]
