"""``timeline:``: the events, and the conditions that they wait for.

Tested by tests/unit/lab/scenario/resolve/test_timeline.py.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from pydantic import ConfigDict, Field, JsonValue, WithJsonSchema

from torrentnet.lab.scenario.language.models.links import ImpairmentModel, IsolationTarget, PartitionTarget
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
    models_by_key,
    tagged_union,
    text_validator,
)
from torrentnet.lab.scenario.language.scalars import (
    InvalidValueError,
    format_duration,
    format_share,
    parse_duration,
    parse_share,
)
from torrentnet.lab.scenario.language.selectors import Selector, parse_selector

_EXAMPLES: Final = "`leecher-1 has 50% of myfile.txt`, `seeder-2 is up`, `leecher is seed`, `after kill seeder-1`"
_STATES: Final = {"up": "up", "down": "down", "seed": "seed", "a seed": "seed", "seeds": "seed"}
"""States as people write them -> the state's name."""
_AFTER: Final = re.compile(r"(?:(?P<delay>\S+)\s+)?after\s+(?P<rest>.+)")
_HAS: Final = re.compile(r"(?P<nodes>.+?)\s+(?:has|have)\s+(?:(?P<share>\S+)\s+of\s+)?(?P<file>.+)")
_IS: Final = re.compile(r"(?P<nodes>.+?)\s+(?:is|are)\s+(?P<state>.+)")


@dataclass(frozen=True, slots=True)
class AfterCondition:
    """Another event has happened."""

    event: str
    """As it is written in the timeline, or its name."""
    delay: float = 0.0
    """Seconds."""

    def __str__(self) -> str:
        text = f"after {self.event}"
        return f"{format_duration(self.delay)} {text}" if self.delay else text


@dataclass(frozen=True, slots=True)
class NodeCondition:
    """All of some nodes fulfil a condition at the same moment."""

    nodes: Selector
    delay: float
    """Seconds."""

    def __str__(self) -> str:
        text = f"{self.nodes} {self._predicate()}"
        return f"{format_duration(self.delay)} after {text}" if self.delay else text

    def _predicate(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class HasCondition(NodeCondition):
    """Each node has a share of a file's pieces."""

    file: str
    share: float

    def _predicate(self) -> str:
        return f"has {f'{format_share(self.share)} of ' if self.share < 1 else ''}{self.file}"


@dataclass(frozen=True, slots=True)
class StateCondition(NodeCondition):
    """Each node is in a state."""

    state: str
    """``up``, ``down`` or ``seed``."""

    def _predicate(self) -> str:
        return f"is {self.state}"


Condition: TypeAlias = AfterCondition | HasCondition | StateCondition


def parse_condition(text: str, verbs: frozenset[str]) -> Condition:
    """Parse the condition of an event.

    ``verbs`` tell an event (``after kill seeder-1``) from a condition of nodes. Raises InvalidValueError for any other
    text.
    """
    text = " ".join(text.split())
    match = _AFTER.fullmatch(text)
    if match is None:
        return _parse_node_condition(text, 0.0, verbs)
    delay = parse_duration(match["delay"]) if match["delay"] else 0.0
    rest = match["rest"]
    if rest.split(maxsplit=1)[0] not in verbs and (_HAS.fullmatch(rest) or _IS.fullmatch(rest)):
        return _parse_node_condition(rest, delay, verbs)
    return AfterCondition(rest, delay)


def _parse_node_condition(text: str, delay: float, verbs: frozenset[str]) -> Condition:
    if has := _HAS.fullmatch(text):
        share = parse_share(has["share"]) if has["share"] else 1.0
        if share == 0:
            raise InvalidValueError(
                f"`{text}` is true from the start", "write a share: `leecher-1 has 50% of myfile.txt`"
            )
        return HasCondition(_parse_nodes(has["nodes"]), delay, has["file"], share)
    if found := _IS.fullmatch(text):
        state = _STATES.get(found["state"])
        if state is None:
            raise InvalidValueError(
                f"`{found['state']}` is not a state to wait for", "it can be `up`, `down` or `seed`"
            )
        return StateCondition(_parse_nodes(found["nodes"]), delay, state)
    if text and text.split(maxsplit=1)[0] in verbs:
        raise InvalidValueError(f"`{text}` is an event, not a condition", f"did you mean `after {text}`?")
    raise InvalidValueError(f"`{text}` is not a condition" if text else "the text is empty", f"for example {_EXAMPLES}")


def _parse_nodes(text: str) -> Selector:
    names = [name for name in re.split(r",|\band\b", text.strip("[]")) if name.strip()]
    try:
        return parse_selector(names if len(names) != 1 else names[0])
    except InvalidValueError as error:
        raise InvalidValueError(error.text, error.hint) from None


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
    """Freeze the node: it does not respond and keeps its connections.

    It resumes after `for` or at `until`.
    """

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
EVENT_MODELS: Final[dict[str, type[EventModel]]] = models_by_key(AnyEventModel)
LASTING_KEYS: Final = tuple(name for name, kind in EVENT_MODELS.items() if issubclass(kind, LastingEventModel))

if TYPE_CHECKING:
    TimelineItem: TypeAlias = AnyEventModel
else:
    TimelineItem = tagged_union("verb:", EVENT_MODELS)
