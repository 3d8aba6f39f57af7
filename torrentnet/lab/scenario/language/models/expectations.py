"""``expect:``: what must be true."""

from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from pydantic import ConfigDict, Field, Tag

from torrentnet.lab.scenario.language.models.values import (
    ByteInterval,
    Command,
    CountInterval,
    Duration,
    ExitStatus,
    FileName,
    Flag,
    HoldTime,
    NodeSelector,
    ParameterValue,
    StrictModel,
    TextLine,
    TextList,
    Time,
    discriminate_by_shape,
    models_by_key,
    one_of,
    tagged_union,
)
from torrentnet.lab.scenario.plan.expectations import Severity


class ExpectationModel(StrictModel):
    """The nodes of an expectation, and the time at which it must hold.

    Without a time word it must hold before the time limit.
    """

    node: NodeSelector = Field(description="the nodes; each of them must fulfil it")
    within: Duration | None = Field(None, description="how long it may take, from t = 0 or `after` on")
    at: Time | None = Field(None, description="when it must be true, after t = 0")
    always: HoldTime | None = Field(
        None, description="how long it must be true without a break, from `at`, `after` or t = 0 on; or `rest`"
    )
    after: TextLine | None = Field(None, description="the event from which time counts, as `kill seeder-1`")
    level: Annotated[str, one_of(*map(str, Severity))] | None = Field(
        None, description="with `warning` a failure is reported, and the run passes"
    )
    pass_: TextLine | None = Field(None, alias="pass", description="the sentence of the report where it holds")
    fail: TextLine | None = Field(None, description="the sentence of the report where it does not hold")


class HasModel(ExpectationModel):
    """The node has the complete file, with the same SHA-256 as the source."""

    has: FileName


class BecomesModel(ExpectationModel):
    """The peer reaches that state."""

    becomes: Annotated[str, one_of("seed")]


class ForgetsModel(ExpectationModel):
    """The tracker no longer lists these peers."""

    forgets: NodeSelector


class KnowsModel(ExpectationModel):
    """The tracker lists that number of peers."""

    knows: CountInterval


class ConsoleCheckModel(ExpectationModel):
    """The output of a command on the node's command line."""

    console: Command = Field(description="the command, as `request logs`")
    contains: TextList | None = Field(None, description="texts that the output must contain")
    lacks: TextList | None = Field(None, description="texts that the output must not contain")
    empty: Flag | None = Field(None, description="whether the output must be empty; white space does not count")


class LogEventModel(StrictModel):
    """Event lines with a name and with certain fields.

    Every other key is a field of the line, with the value that it must have.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, ParameterValue]

    event: TextLine = Field(description="the event's name, as `bad_piece`")


class LogModel(ExpectationModel):
    """The node's log contains such a line."""

    log: Annotated[
        Annotated[TextLine, Tag("as:other")] | Annotated[LogEventModel, Tag("as:map")], discriminate_by_shape()
    ] = Field(description="a text in the line, or an event with its fields")
    times: CountInterval | None = Field(None, description="how many such lines; `at least 1` by default")


class StateModel(ExpectationModel):
    """The engine reports that state of the node."""

    state: Annotated[str, one_of("running", "paused", "exited")]


class ExitModel(ExpectationModel):
    """The node's program has ended with that exit status."""

    exit: ExitStatus = Field(description="0 to 255; 137 after a kill")


class TrafficModel(StrictModel):
    """Bytes that a network interface carried since its node's last start.

    Headers are included.
    """

    sent: ByteInterval | None = None
    received: ByteInterval | None = None


class BytesModel(ExpectationModel):
    """How much the node has sent and received."""

    bytes: TrafficModel


class ContentModel(StrictModel):
    """Bytes of content between nodes since the lab began, without headers."""

    with_: NodeSelector = Field(alias="with", description="the other nodes")
    received: ByteInterval | None = Field(None, description="what the node has received from all of them together")
    sent: ByteInterval | None = Field(None, description="what the node has sent to all of them together")
    count: CountInterval | None = Field(None, description="how many of them have sent content to the node")


class PairsModel(ExpectationModel):
    """Who has sent the node how much, and to whom it has sent."""

    pairs: ContentModel


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
    | PairsModel
)
CHECK_MODELS: Final[dict[str, type[ExpectationModel]]] = models_by_key(AnyExpectationModel)

if TYPE_CHECKING:
    ExpectationItem: TypeAlias = AnyExpectationModel
else:
    ExpectationItem = tagged_union("check:", CHECK_MODELS)
