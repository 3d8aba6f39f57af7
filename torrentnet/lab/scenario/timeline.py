"""``timeline:`` what happens when."""

from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue, Tag, WithJsonSchema

from torrentnet.lab.plan import Verb
from torrentnet.lab.scenario.keyed import by_key
from torrentnet.lab.scenario.links import Impairment, Isolated, Parted
from torrentnet.lab.scenario.triggers import Condition, parse_condition
from torrentnet.lab.scenario.types import (
    Command,
    Duration,
    EventName,
    Line,
    Nodes,
    Part,
    Span,
    Texts,
    Time,
    text_type,
)

VERB_NAMES = frozenset(str(verb) for verb in Verb)
TIME_KEYS = ("at", "when", "every")
_ONE_TIME: dict[str, JsonValue] = {"oneOf": [{"required": [key]} for key in TIME_KEYS]}

When = Annotated[
    Condition,
    text_type(lambda text: parse_condition(text, VERB_NAMES), "a condition"),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "examples": ["leecher-1 has 50% of myfile.txt", "seeder-2 is up", "2s after kill seeder-1"],
        }
    ),
]


class Timed(Part):
    """When an event happens: exactly one of `at`, `when` and `every`."""

    model_config = ConfigDict(json_schema_extra=_ONE_TIME)

    at: Time | None = Field(None, description="when, after t = 0")
    when: When | None = Field(None, description="what it waits for, as `leecher-1 has 50% of myfile.txt`")
    every: Duration | None = Field(None, description="the time from one repetition to the next")
    from_: Time | None = Field(None, alias="from", description="with `every`: the first time; one interval if left out")
    until: Time | None = Field(
        None, description="with `every`: the last time; with `at` and `when`: when it ends, after t = 0"
    )
    name: EventName | None = Field(None, description="a name for `after` and `heal`")


class Lasting(Timed):
    """An event that is undone: after `for` or at `until`, at the end of the run at the latest."""

    model_config = ConfigDict(
        json_schema_extra={**_ONE_TIME, "anyOf": [{"required": [key]} for key in ("for", "until")]}
    )

    for_: Span | None = Field(None, alias="for", description="how long, or `rest`")


class InNodes(Timed):
    """An event that is a command in some nodes."""

    node: Nodes = Field(description="where")


class Kill(Timed):
    """End the node at once (SIGKILL); it has no time for a good-bye."""

    kill: Nodes


class Stop(Timed):
    """End the node in order (SIGTERM); a peer says good-bye."""

    stop: Nodes


class Pause(Lasting):
    """Freeze the node: it answers nothing and keeps its connections; it goes on after `for` or at `until`."""

    pause: Nodes


class Restart(Timed):
    """Stop the node, if it runs, and start it again; its files stay."""

    restart: Nodes


class Start(Timed):
    """Start a node that was killed or stopped; its files stay."""

    start: Nodes


class Partition(Lasting):
    """Cut the network in parts: nothing passes from one side to another, silently.

    Who is on no side hears everybody.
    """

    partition: Parted


class Isolate(Lasting):
    """Cut each of the nodes off from all others, silently."""

    isolate: Isolated


class Impair(Lasting):
    """A worse (or a better) network for some time."""

    impair: Impairment


class Heal(Timed):
    """End lasting events before their time."""

    heal: Texts = Field(description="`all`, or events as they are written or by their names")


class Run(InNodes):
    """Run a command in the node, with its shell; another status than 0 fails the run."""

    run: Line


class Console(InNodes):
    """Type a command at the node's command line; another status than 0 fails the run."""

    console: Command


VERBS: dict[str, type[Timed]] = {
    "kill": Kill,
    "stop": Stop,
    "pause": Pause,
    "restart": Restart,
    "start": Start,
    "partition": Partition,
    "isolate": Isolate,
    "impair": Impair,
    "heal": Heal,
    "run": Run,
    "console": Console,
}
LASTING = tuple(name for name, kind in VERBS.items() if issubclass(kind, Lasting))

AnyEvent = Kill | Stop | Pause | Restart | Start | Partition | Isolate | Impair | Heal | Run | Console

Event = Annotated[
    Annotated[Kill, Tag("verb:kill")]
    | Annotated[Stop, Tag("verb:stop")]
    | Annotated[Pause, Tag("verb:pause")]
    | Annotated[Restart, Tag("verb:restart")]
    | Annotated[Start, Tag("verb:start")]
    | Annotated[Partition, Tag("verb:partition")]
    | Annotated[Isolate, Tag("verb:isolate")]
    | Annotated[Impair, Tag("verb:impair")]
    | Annotated[Heal, Tag("verb:heal")]
    | Annotated[Run, Tag("verb:run")]
    | Annotated[Console, Tag("verb:console")],
    by_key("verb:", VERBS),
]
