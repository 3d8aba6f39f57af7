"""``timeline:`` the events."""

from typing import Annotated, Final

from pydantic import ConfigDict, Field, JsonValue, Tag, WithJsonSchema

from torrentnet.lab.scenario.language.conditions import Condition, parse_condition
from torrentnet.lab.scenario.language.models.links import ImpairmentModel, IsolationTarget, PartitionTarget
from torrentnet.lab.scenario.language.models.tags import discriminate_by_key
from torrentnet.lab.scenario.language.models.values import (
    Command,
    Duration,
    EventName,
    LastingTime,
    NodeSelector,
    StrictModel,
    TextLine,
    TextList,
    Time,
    text_validator,
)

TIME_KEYS: Final = ("at", "when", "every")
_ONE_TIME: Final[dict[str, JsonValue]] = {"oneOf": [{"required": [key]} for key in TIME_KEYS]}

ConditionText = Annotated[
    Condition,
    text_validator(lambda text: parse_condition(text, frozenset(EVENT_MODELS)), "a condition"),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "examples": ["leecher-1 has 50% of myfile.txt", "seeder-2 is up", "2s after kill seeder-1"],
        }
    ),
]


class EventModel(StrictModel):
    """When an event happens: exactly one of `at`, `when` and `every`."""

    model_config = ConfigDict(json_schema_extra=_ONE_TIME)

    at: Time | None = Field(None, description="when it happens, after t = 0")
    when: ConditionText | None = Field(
        None, description="the condition that it waits for, as `leecher-1 has 50% of myfile.txt`"
    )
    every: Duration | None = Field(None, description="time between repetitions")
    from_: Time | None = Field(
        None, alias="from", description="with `every`: the first repetition; after one interval by default"
    )
    until: Time | None = Field(
        None, description="with `every`: the last repetition; with `at` and `when`: when it ends, after t = 0"
    )
    name: EventName | None = Field(None, description="a name to use in `after` and `heal`")


class LastingEventModel(EventModel):
    """An event that is undone: after `for`, at `until`, or at the end of the run."""

    model_config = ConfigDict(
        json_schema_extra={**_ONE_TIME, "anyOf": [{"required": [key]} for key in ("for", "until")]}
    )

    for_: LastingTime | None = Field(
        None, alias="for", description="how long it lasts, or `rest` for the rest of the run"
    )


class CommandEventModel(EventModel):
    """An event that runs a command in nodes."""

    node: NodeSelector = Field(description="the nodes")


class KillModel(EventModel):
    """End the node at once (SIGKILL): a peer does not leave the swarm."""

    kill: NodeSelector


class StopModel(EventModel):
    """End the node in order (SIGTERM): a peer leaves the swarm."""

    stop: NodeSelector


class PauseModel(LastingEventModel):
    """Freeze the node: it does not respond and keeps its connections. It resumes after `for` or at `until`."""

    pause: NodeSelector


class RestartModel(EventModel):
    """Stop the node, if it runs, and start it. Its files stay."""

    restart: NodeSelector


class StartModel(EventModel):
    """Start a node that was killed or stopped. Its files stay."""

    start: NodeSelector


class PartitionModel(LastingEventModel):
    """Cut the links between sides of the network: packets are dropped silently.

    A node on no side reaches all nodes.
    """

    partition: PartitionTarget


class IsolateModel(LastingEventModel):
    """Cut the links of each of the nodes: packets are dropped silently."""

    isolate: IsolationTarget


class ImpairModel(LastingEventModel):
    """Make links worse (or better) for some time."""

    impair: ImpairmentModel


class HealModel(EventModel):
    """Undo lasting events before their time."""

    heal: TextList = Field(description="`all`, or events as the timeline writes them, or their names")


class RunModel(CommandEventModel):
    """Run a shell command in the node; a status other than 0 fails the run."""

    run: TextLine


class ConsoleModel(CommandEventModel):
    """Run a command on the node's command line; a status other than 0 fails the run."""

    console: Command


EVENT_MODELS: Final[dict[str, type[EventModel]]] = {
    "kill": KillModel,
    "stop": StopModel,
    "pause": PauseModel,
    "restart": RestartModel,
    "start": StartModel,
    "partition": PartitionModel,
    "isolate": IsolateModel,
    "impair": ImpairModel,
    "heal": HealModel,
    "run": RunModel,
    "console": ConsoleModel,
}
LASTING_KEYS: Final = tuple(name for name, kind in EVENT_MODELS.items() if issubclass(kind, LastingEventModel))

AnyEventModel = (
    KillModel
    | StopModel
    | PauseModel
    | RestartModel
    | StartModel
    | PartitionModel
    | IsolateModel
    | ImpairModel
    | HealModel
    | RunModel
    | ConsoleModel
)

TimelineItem = Annotated[
    Annotated[KillModel, Tag("verb:kill")]
    | Annotated[StopModel, Tag("verb:stop")]
    | Annotated[PauseModel, Tag("verb:pause")]
    | Annotated[RestartModel, Tag("verb:restart")]
    | Annotated[StartModel, Tag("verb:start")]
    | Annotated[PartitionModel, Tag("verb:partition")]
    | Annotated[IsolateModel, Tag("verb:isolate")]
    | Annotated[ImpairModel, Tag("verb:impair")]
    | Annotated[HealModel, Tag("verb:heal")]
    | Annotated[RunModel, Tag("verb:run")]
    | Annotated[ConsoleModel, Tag("verb:console")],
    discriminate_by_key("verb:", EVENT_MODELS),
]
