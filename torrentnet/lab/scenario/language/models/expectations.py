"""``expect:`` what must be true."""

from typing import Annotated

from pydantic import ConfigDict, Field, Tag

from torrentnet.lab.scenario.language.intervals import ByteInterval, CountInterval
from torrentnet.lab.scenario.language.models.tags import discriminate_by_key, discriminate_by_shape
from torrentnet.lab.scenario.language.models.values import (
    Command,
    Duration,
    ExitStatus,
    FileName,
    HoldTime,
    NodeSelector,
    ParameterValue,
    StrictModel,
    TextLine,
    TextList,
    Time,
    one_of,
)
from torrentnet.lab.scenario.plan import Severity

SEVERITIES = tuple(str(level) for level in Severity)


class ExpectationModel(StrictModel):
    """Of whom something is expected, and by when. Without a time word: before the time limit is over."""

    node: NodeSelector = Field(description="every node that is meant must fulfil it")
    within: Duration | None = Field(None, description="how long it may take, from t = 0 or from `after`")
    at: Time | None = Field(None, description="when it must be true, after t = 0")
    always: HoldTime | None = Field(
        None, description="for how long it must be true without a break, from `at`, `after` or t = 0; or `rest`"
    )
    after: TextLine | None = Field(None, description="the event from which time counts, as `kill seeder-1`")
    level: Annotated[str, one_of(*SEVERITIES)] | None = Field(
        None,
        description="`warning`: it is told, and the run has not failed",
        json_schema_extra={"enum": list(SEVERITIES)},
    )
    pass_: TextLine | None = Field(None, alias="pass", description="what the report says where it holds")
    fail: TextLine | None = Field(None, description="what the report says where it does not")


class HasModel(ExpectationModel):
    """The node has the file whole, with the same SHA-256 as the source."""

    has: FileName


class BecomesModel(ExpectationModel):
    """The node reaches that state of the peer program."""

    becomes: Annotated[str, one_of("seed")] = Field(json_schema_extra={"enum": ["seed"]})


class ForgetsModel(ExpectationModel):
    """The tracker no longer knows these peers."""

    forgets: NodeSelector


class KnowsModel(ExpectationModel):
    """So many peers are known to the tracker."""

    knows: CountInterval


class ConsoleCheckModel(ExpectationModel):
    """What a command at the node's command line answers."""

    console: Command = Field(description="the command, as `request logs`")
    contains: TextList | None = Field(None, description="texts that the answer must hold")
    lacks: TextList | None = Field(None, description="texts that the answer must not hold")


class LogEventModel(StrictModel):
    """Event lines of one kind. Every further key is a field of the line, with the value that it must have."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, ParameterValue]

    event: TextLine = Field(description="the event's name, as `bad_piece`")


class LogModel(ExpectationModel):
    """The node's log holds such a line."""

    log: Annotated[
        Annotated[TextLine, Tag("as:other")] | Annotated[LogEventModel, Tag("as:map")], discriminate_by_shape()
    ] = Field(description="a text in a line, or an event with its fields")
    times: CountInterval | None = Field(None, description="how many such lines; `at least 1` if left out")


NODE_STATES = ("running", "paused", "exited")


class StateModel(ExpectationModel):
    """What the engine says about the node."""

    state: Annotated[str, one_of(*NODE_STATES)] = Field(json_schema_extra={"enum": list(NODE_STATES)})


class ExitModel(ExpectationModel):
    """The node's program has ended with that status."""

    exit: ExitStatus = Field(description="0 to 255; 137 where it was killed")


class TrafficModel(StrictModel):
    """How much passed through a node's network interface since the node was last started, headers included."""

    sent: ByteInterval | None = None
    received: ByteInterval | None = None


class BytesModel(ExpectationModel):
    """How much the node has sent and received."""

    bytes: TrafficModel


CHECK_MODELS: dict[str, type[ExpectationModel]] = {
    "has": HasModel,
    "becomes": BecomesModel,
    "forgets": ForgetsModel,
    "knows": KnowsModel,
    "console": ConsoleCheckModel,
    "log": LogModel,
    "state": StateModel,
    "exit": ExitModel,
    "bytes": BytesModel,
}

AnyExpectationModel = (
    HasModel
    | BecomesModel
    | ForgetsModel
    | KnowsModel
    | ConsoleCheckModel
    | LogModel
    | StateModel
    | ExitModel
    | BytesModel
)

ExpectationItem = Annotated[
    Annotated[HasModel, Tag("check:has")]
    | Annotated[BecomesModel, Tag("check:becomes")]
    | Annotated[ForgetsModel, Tag("check:forgets")]
    | Annotated[KnowsModel, Tag("check:knows")]
    | Annotated[ConsoleCheckModel, Tag("check:console")]
    | Annotated[LogModel, Tag("check:log")]
    | Annotated[StateModel, Tag("check:state")]
    | Annotated[ExitModel, Tag("check:exit")]
    | Annotated[BytesModel, Tag("check:bytes")],
    discriminate_by_key("check:", CHECK_MODELS),
]
