"""``expect:`` what must be true."""

from typing import Annotated

from pydantic import ConfigDict, Field, Tag

from torrentnet.lab.plan import Level
from torrentnet.lab.scenario.bounds import BytesBound, NumberBound
from torrentnet.lab.scenario.keyed import by_key, by_shape
from torrentnet.lab.scenario.types import (
    Command,
    Duration,
    ExitStatus,
    FileName,
    Line,
    Nodes,
    Part,
    Steady,
    Texts,
    Time,
    Value,
    choice,
)

LEVELS = tuple(str(level) for level in Level)


class Expected(Part):
    """Of whom something is expected, and by when. Without a time word: before the time limit is over."""

    node: Nodes = Field(description="every node that is meant must fulfil it")
    within: Duration | None = Field(None, description="how long it may take, from t = 0 or from `after`")
    at: Time | None = Field(None, description="when it must be true, after t = 0")
    always: Steady | None = Field(
        None, description="for how long it must be true without a break, from `at`, `after` or t = 0; or `rest`"
    )
    after: Line | None = Field(None, description="the event from which time counts, as `kill seeder-1`")
    level: Annotated[str, choice(*LEVELS)] | None = Field(
        None,
        description="`warning`: it is told, and the run has not failed",
        json_schema_extra={"enum": list(LEVELS)},
    )
    pass_: Line | None = Field(None, alias="pass", description="what the report says where it holds")
    fail: Line | None = Field(None, description="what the report says where it does not")


class Has(Expected):
    """The node has the file whole, with the same SHA-256 as the source."""

    has: FileName


class Becomes(Expected):
    """The node reaches that state of the peer program."""

    becomes: Annotated[str, choice("seed")] = Field(json_schema_extra={"enum": ["seed"]})


class Forgets(Expected):
    """The tracker no longer knows these peers."""

    forgets: Nodes


class Knows(Expected):
    """So many peers are known to the tracker."""

    knows: NumberBound


class Console(Expected):
    """What a command at the node's command line answers."""

    console: Command = Field(description="the command, as `request logs`")
    contains: Texts | None = Field(None, description="texts that the answer must hold")
    lacks: Texts | None = Field(None, description="texts that the answer must not hold")


class LogEvent(Part):
    """Event lines of one kind. Every further key is a field of the line, with the value that it must have."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Value]

    event: Line = Field(description="the event's name, as `bad_piece`")


class Log(Expected):
    """The node's log holds such a line."""

    log: Annotated[Annotated[Line, Tag("as:other")] | Annotated[LogEvent, Tag("as:map")], by_shape()] = Field(
        description="a text in a line, or an event with its fields"
    )
    times: NumberBound | None = Field(None, description="how many such lines; `at least 1` if left out")


STATES = ("running", "paused", "exited")


class State(Expected):
    """What the engine says about the node."""

    state: Annotated[str, choice(*STATES)] = Field(json_schema_extra={"enum": list(STATES)})


class Exit(Expected):
    """The node's program has ended with that status."""

    exit: ExitStatus = Field(description="0 to 255; 137 where it was killed")


class Traffic(Part):
    """How much passed through a node's network interface since the node was last started, headers included."""

    sent: BytesBound | None = None
    received: BytesBound | None = None


class Bytes(Expected):
    """How much the node has sent and received."""

    bytes: Traffic


CHECKS: dict[str, type[Expected]] = {
    "has": Has,
    "becomes": Becomes,
    "forgets": Forgets,
    "knows": Knows,
    "console": Console,
    "log": Log,
    "state": State,
    "exit": Exit,
    "bytes": Bytes,
}

AnyExpectation = Has | Becomes | Forgets | Knows | Console | Log | State | Exit | Bytes

Expectation = Annotated[
    Annotated[Has, Tag("check:has")]
    | Annotated[Becomes, Tag("check:becomes")]
    | Annotated[Forgets, Tag("check:forgets")]
    | Annotated[Knows, Tag("check:knows")]
    | Annotated[Console, Tag("check:console")]
    | Annotated[Log, Tag("check:log")]
    | Annotated[State, Tag("check:state")]
    | Annotated[Exit, Tag("check:exit")]
    | Annotated[Bytes, Tag("check:bytes")],
    by_key("check:", CHECKS),
]
