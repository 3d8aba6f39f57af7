"""``when:`` conditions: ``leecher-1 has 50% of myfile.txt``, ``seeder-2 is up``, ``2s after kill seeder-1``.

Tested by tests/unit/lab/scenario/resolve/test_timeline.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from torrentnet.lab.scenario.language.errors import InvalidValueError
from torrentnet.lab.scenario.language.selectors import Selector, parse_selector
from torrentnet.lab.scenario.language.units import format_duration, format_share, parse_duration, parse_share

EXAMPLES: Final = "`leecher-1 has 50% of myfile.txt`, `seeder-2 is up`, `leecher is seed`, `after kill seeder-1`"
STATES: Final = {"up": "up", "down": "down", "seed": "seed", "a seed": "seed", "seeds": "seed"}
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
    """Some nodes fulfil a condition, all at once."""

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
    """Parse a condition; ``verbs`` tell an event (``after kill seeder-1``) from a condition of nodes.

    Raises InvalidValueError for any other text.
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
        state = STATES.get(found["state"])
        if state is None:
            raise InvalidValueError(
                f"`{found['state']}` is not a state to wait for", "it can be `up`, `down` or `seed`"
            )
        return StateCondition(_parse_nodes(found["nodes"]), delay, state)
    if text and text.split(maxsplit=1)[0] in verbs:
        raise InvalidValueError(f"`{text}` is an event, not a condition", f"did you mean `after {text}`?")
    raise InvalidValueError(f"`{text}` is not a condition" if text else "the text is empty", f"for example {EXAMPLES}")


def _parse_nodes(text: str) -> Selector:
    names = [name for name in re.split(r",|\band\b", text.strip("[]")) if name.strip()]
    try:
        return parse_selector(names if len(names) != 1 else names[0])
    except InvalidValueError as error:
        raise InvalidValueError(error.text, error.hint) from None
