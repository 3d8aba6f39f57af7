"""``timeline:`` what happens when."""

from typing import Annotated

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

TIME_KEYS = ("at", "when", "every")
_ONE_TIME: dict[str, JsonValue] = {"oneOf": [{"required": [key]} for key in TIME_KEYS]}

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

    at: Time | None = Field(None, description="when, after t = 0")
    when: ConditionText | None = Field(None, description="what it waits for, as `leecher-1 has 50% of myfile.txt`")
    every: Duration | None = Field(None, description="the time from one repetition to the next")
    from_: Time | None = Field(None, alias="from", description="with `every`: the first time; one interval if left out")
    until: Time | None = Field(
        None, description="with `every`: the last time; with `at` and `when`: when it ends, after t = 0"
    )
    name: EventName | None = Field(None, description="a name for `after` and `heal`")


class LastingEventModel(EventModel):
    """An event that is undone: after `for` or at `until`, at the end of the run at the latest."""

    model_config = ConfigDict(
        json_schema_extra={**_ONE_TIME, "anyOf": [{"required": [key]} for key in ("for", "until")]}
    )

    for_: LastingTime | None = Field(None, alias="for", description="how long, or `rest`")


class CommandEventModel(EventModel):
    """An event that is a command in some nodes."""

    node: NodeSelector = Field(description="where")


class KillModel(EventModel):
    """End the node at once (SIGKILL); it has no time for a good-bye."""

    kill: NodeSelector


class StopModel(EventModel):
    """End the node in order (SIGTERM); a peer says good-bye."""

    stop: NodeSelector


class PauseModel(LastingEventModel):
    """Freeze the node: it answers nothing and keeps its connections; it goes on after `for` or at `until`."""

    pause: NodeSelector


class RestartModel(EventModel):
    """Stop the node, if it runs, and start it again; its files stay."""

    restart: NodeSelector


class StartModel(EventModel):
    """Start a node that was killed or stopped; its files stay."""

    start: NodeSelector


class PartitionModel(LastingEventModel):
    """Cut the network in parts: nothing passes from one side to another, silently.

    Who is on no side hears everybody.
    """

    partition: PartitionTarget


class IsolateModel(LastingEventModel):
    """Cut each of the nodes off from all others, silently."""

    isolate: IsolationTarget


class ImpairModel(LastingEventModel):
    """A worse (or a better) network for some time."""

    impair: ImpairmentModel


class HealModel(EventModel):
    """End lasting events before their time."""

    heal: TextList = Field(description="`all`, or events as they are written or by their names")


class RunModel(CommandEventModel):
    """Run a command in the node, with its shell; another status than 0 fails the run."""

    run: TextLine


class ConsoleModel(CommandEventModel):
    """Type a command at the node's command line; another status than 0 fails the run."""

    console: Command


EVENT_MODELS: dict[str, type[EventModel]] = {
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
LASTING_KEYS = tuple(name for name, kind in EVENT_MODELS.items() if issubclass(kind, LastingEventModel))

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
