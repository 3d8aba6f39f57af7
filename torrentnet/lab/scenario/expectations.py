"""``expect:`` what must be true."""

from typing import Annotated

from pydantic import Field, Tag

from torrentnet.lab.scenario.keyed import by_key
from torrentnet.lab.scenario.types import Command, Duration, FileName, Line, Nodes, Part, Texts, Time, choice


class Expected(Part):
    """Of whom something is expected, and by when. Without a time word: before the time limit is over."""

    node: Nodes = Field(description="every node that is meant must fulfil it")
    within: Duration | None = Field(None, description="how long it may take, from t = 0 or from `after`")
    at: Time | None = Field(None, description="when it must be true, after t = 0")
    after: Line | None = Field(None, description="the event from which `within` counts, as `kill seeder-1`")


class Has(Expected):
    """The node has the file whole, with the same SHA-256 as the source."""

    has: FileName


class Becomes(Expected):
    """The node reaches that state of the peer program."""

    becomes: Annotated[str, choice("seed")] = Field(json_schema_extra={"enum": ["seed"]})


class Forgets(Expected):
    """The tracker no longer knows these peers."""

    forgets: Nodes


class Console(Expected):
    """What a command at the node's command line answers."""

    console: Command = Field(description="the command, as `request logs`")
    contains: Texts | None = Field(None, description="texts that the answer must hold")
    lacks: Texts | None = Field(None, description="texts that the answer must not hold")


STATES = ("running", "paused", "exited")


class State(Expected):
    """What the engine says about the node."""

    state: Annotated[str, choice(*STATES)] = Field(json_schema_extra={"enum": list(STATES)})


CHECKS: dict[str, type[Expected]] = {
    "has": Has,
    "becomes": Becomes,
    "forgets": Forgets,
    "console": Console,
    "state": State,
}

AnyExpectation = Has | Becomes | Forgets | Console | State

Expectation = Annotated[
    Annotated[Has, Tag("check:has")]
    | Annotated[Becomes, Tag("check:becomes")]
    | Annotated[Forgets, Tag("check:forgets")]
    | Annotated[Console, Tag("check:console")]
    | Annotated[State, Tag("check:state")],
    by_key("check:", CHECKS),
]
