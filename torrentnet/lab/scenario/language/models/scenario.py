"""The model of a whole scenario file, with its nodes.

The JSON Schema for editors is generated from this model.

Tested by tests/unit/lab/scenario/test_wrong.py.
"""

from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

from pydantic import BeforeValidator, Field
from pydantic.config import JsonDict

from torrentnet.lab.scenario.language.models.expectations import ExpectationItem
from torrentnet.lab.scenario.language.models.links import LinkModel
from torrentnet.lab.scenario.language.models.programs import ProgramModel
from torrentnet.lab.scenario.language.models.timeline import TimelineItem
from torrentnet.lab.scenario.language.models.values import (
    About,
    Command,
    Count,
    DiskSize,
    Duration,
    FileName,
    Flag,
    LogSize,
    MemorySize,
    OpenFileCount,
    ParameterValue,
    PieceLength,
    ProcessCount,
    ProcessorCount,
    ScenarioName,
    Seed,
    Size,
    StrictModel,
    TextLine,
    Time,
    UploadRate,
    one_of,
    program_name,
    tagged_union,
)
from torrentnet.lab.scenario.language.scalars import format_duration, format_size
from torrentnet.lab.scenario.plan.limits import LOG, MEMORY, OPEN_FILES, PROCESSES, PROCESSORS
from torrentnet.lab.scenario.plan.plan import NodeProgram

PEER_PROGRAMS: Final = tuple(
    program for program in NodeProgram if program not in (NodeProgram.OPENTRACKER, NodeProgram.FOREIGN)
)
TRACKER_PROGRAMS: Final = (NodeProgram.OURS, NodeProgram.OPENTRACKER)


def _shown(size: int) -> JsonDict:
    return {"default": format_size(size)}


class LimitsModel(StrictModel):
    """The most that a node may use of the machine."""

    memory: MemorySize | None = Field(None, description="memory of all its processes", json_schema_extra=_shown(MEMORY))
    processes: ProcessCount | None = Field(
        None, description="processes and threads", json_schema_extra={"default": PROCESSES}
    )
    cpus: ProcessorCount | None = Field(
        None, description="processors; `0.5` is half of one", json_schema_extra={"default": PROCESSORS}
    )
    open_files: OpenFileCount | None = Field(
        None, description="open files and connections of a process", json_schema_extra={"default": OPEN_FILES}
    )
    log: LogSize | None = Field(None, description="output that is kept", json_schema_extra=_shown(LOG))
    disk: DiskSize | None = Field(
        None, description="size of the node's directory; by default twice the file that it gets, and 64MiB"
    )


class TrackerOptionsModel(StrictModel):
    """The tracker's program, and when its peers expire."""

    program: Annotated[str, program_name(*TRACKER_PROGRAMS)] | None = Field(
        None,
        description="the tracker program, or one under `programs`; opentracker knows no names, and our peers receive"
        " a .torrent",
    )
    keepalive: Duration = Field(
        5.0, description="the interval between a peer's keep-alive messages", json_schema_extra={"default": "5s"}
    )
    timeout: Duration = Field(
        15.0,
        description="time without a message after which a peer expires; longer than `keepalive`",
        json_schema_extra={"default": "15s"},
    )


class TrackerModel(StrictModel):
    """The tracker, with the name `tracker`; a lab has one at most."""

    tracker: TrackerOptionsModel
    limits: LimitsModel | None = Field(None, description="what the tracker may use; overrides the scenario's `limits`")


class GroupModel(StrictModel):
    """What all groups of nodes have in common."""

    count: Count | None = Field(
        None, description="the number of nodes, NAME-1 to NAME-count; without it there is one node, NAME"
    )
    start: Time | None = Field(None, description="when the first node starts, after t = 0")
    stagger: Duration | None = Field(None, description="time between the starts of two nodes")


class PeerModel(GroupModel):
    """What all peers have in common."""

    upload: UploadRate | None = Field(None, description="the most that one node uploads")
    client: Annotated[str, program_name(*PEER_PROGRAMS)] | None = Field(
        None, description="the peer program, or one under `programs`"
    )
    limits: LimitsModel | None = Field(None, description="what one node may use; overrides the scenario's `limits`")


class ShareModel(PeerModel):
    """Peers that share a complete file. Without `start` they are up before t = 0."""

    share: FileName
    piece_length: PieceLength | None = Field(
        None, description="a power of two; by default it depends on the file's size"
    )
    corrupt: Flag | None = Field(None, description="whether it changes one byte of every piece that it sends")


class GetModel(PeerModel):
    """Peers that download a file and then share it."""

    get: FileName
    timeout: Duration | None = Field(
        None, description="time without data from a seed after which another seed is tried"
    )
    give_up: Duration | None = Field(None, description="time without a new piece after which the download has failed")
    min_rate: UploadRate | None = Field(None, description="a slower source is replaced while another one is available")
    disk: DiskSize | None = Field(None, description="the same as `limits: {disk: SIZE}`")
    strategy: Annotated[str, one_of("single", "swarm")] | None = None


class RunNodeModel(GroupModel):
    """Nodes that run a program of the scenario, and have no role in a swarm."""

    program: Annotated[str, program_name()] = Field(description="a name under `programs`")
    args: Command | None = Field(None, description="words for its command line, in the place of `{args}`")
    limits: LimitsModel | None = Field(None, description="what one node may use; overrides the scenario's `limits`")


NODE_MODELS: Final[dict[str, type[StrictModel]]] = {
    "tracker": TrackerModel,
    "share": ShareModel,
    "get": GetModel,
    "program": RunNodeModel,
}

if TYPE_CHECKING:
    NodeModel: TypeAlias = TrackerModel | ShareModel | GetModel | RunNodeModel
else:
    NodeModel = tagged_union("role:", NODE_MODELS)

DEFAULT_TIME_LIMIT: Final = 60.0
DEFAULT_SEED: Final = 1
NOTHING_EXPECTED: Final = "none"
"""The value of ``expect`` with which a run passes without any expectation."""


class GeneratedFileModel(StrictModel):
    """A file whose content is generated from the scenario's seed."""

    size: Size = Field(description="0B makes an empty file")
    content: Annotated[str, one_of("bytes", "text")] | None = Field(
        None, description="`text` makes lines of ASCII; otherwise all bytes occur"
    )
    as_: FileName | None = Field(None, alias="as", description="another file's name, under which this file is shared")


class SourceFileModel(StrictModel):
    """A file that exists already."""

    source: TextLine = Field(description="its path, relative to the scenario file")
    as_: FileName | None = Field(None, alias="as", description="another file's name, under which this file is shared")


FILE_MODELS: Final[dict[str, type[StrictModel]]] = {"size": GeneratedFileModel, "source": SourceFileModel}

if TYPE_CHECKING:
    FileModel: TypeAlias = GeneratedFileModel | SourceFileModel
else:
    FileModel = tagged_union("content:", FILE_MODELS)


class ScenarioModel(StrictModel):
    """One experiment: the nodes, what happens when, and what must be true."""

    name: ScenarioName | None = Field(None, description="the file's name without `.yaml`, which is the default")
    about: About = Field("", description="one sentence that says what the experiment shows")
    seed: Seed = Field(DEFAULT_SEED, description="determines every random choice of the lab and the peers")
    time_limit: Duration = Field(
        DEFAULT_TIME_LIMIT,
        description="the longest time of a run; what is not true by then has failed",
        json_schema_extra={"default": format_duration(DEFAULT_TIME_LIMIT)},
    )
    parameters: dict[str, ParameterValue] = Field(
        default_factory=dict, description="values that the command line can set, with their defaults; used as `$name`"
    )
    files: dict[str, FileModel] = Field(default_factory=dict, description="the files that are shared, by name")
    programs: dict[str, ProgramModel] = Field(
        default_factory=dict, description="programs that nodes run beside the lab's own, by name"
    )
    nodes: dict[str, NodeModel] = Field(description="the tracker and the groups of peers, by name")
    limits: LimitsModel | None = Field(None, description="what each node may use of the machine")
    links: list[LinkModel] = Field(default_factory=list, description="the state of the network at t = 0")
    timeline: list[TimelineItem] = Field(default_factory=list, description="the events")
    expect: Annotated[
        list[ExpectationItem],
        BeforeValidator(
            lambda value: [] if value == NOTHING_EXPECTED else value,
            json_schema_input_type=list[ExpectationItem] | Literal["none"],
        ),
    ] = Field(default_factory=list, description="what must be true; `none` for a run that passes without any")
