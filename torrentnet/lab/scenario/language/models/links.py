"""The models of ``links:``, and of the directions and qualities of network faults.

The directions are ``from``, ``to`` and ``between``.

Tested by tests/unit/lab/scenario/resolve/test_links.py.
"""

import math
from typing import Annotated, Final, TypeAlias

from pydantic import ConfigDict, Field, JsonValue, Tag, WithJsonSchema

from torrentnet.lab.scenario.language.models.values import (
    RATE_SCHEMA,
    NodeSelector,
    StrictModel,
    Time,
    discriminate_by_shape,
    text_validator,
    value_validator,
)
from torrentnet.lab.scenario.language.scalars import SHARE_PATTERN, InvalidValueError, parse_rate, parse_share
from torrentnet.lab.scenario.language.selectors import Selector, parse_selector

UNLIMITED: Final = "unlimited"
SelectorSides: TypeAlias = tuple[Selector, ...]
"""Two or more groups of nodes; with ``between`` possibly one, for all pairs in it."""


def _rate(text: str) -> float:
    return math.inf if text == UNLIMITED else float(parse_rate(text).bits)


def _between_sides(value: object) -> SelectorSides:
    if isinstance(value, str):
        return (parse_selector(value),)
    if not isinstance(value, list) or not value:
        raise InvalidValueError("expected nodes", "for example `all` or `[seeder, leecher]`")
    return tuple(_side(side, index) for index, side in enumerate(value))


def _partition_sides(value: object) -> SelectorSides:
    example = "for example `[[tracker, seeder], [leecher]]`"
    if not isinstance(value, list) or not value:
        raise InvalidValueError("expected a list of sides", example)
    if len(value) < 2:
        raise InvalidValueError("a partition has two sides or more", example)
    return tuple(_side(side, index) for index, side in enumerate(value))


def _side(value: object, index: int) -> Selector:
    try:
        return parse_selector(value)
    except InvalidValueError as error:
        raise InvalidValueError(error.text, error.hint, index) from None


_SIDE: Final[dict[str, JsonValue]] = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
    ]
}
BetweenSides = Annotated[
    SelectorSides,
    value_validator(_between_sides),
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": _SIDE, "minItems": 1}]}),
]
"""``leecher``: between any two leechers. ``[seeder, leecher]``: between nodes of different items."""
PartitionSides = Annotated[
    SelectorSides, value_validator(_partition_sides), WithJsonSchema({"type": "array", "items": _SIDE, "minItems": 2})
]
LinkRate = Annotated[
    float, text_validator(_rate, "a rate"), WithJsonSchema({"anyOf": [RATE_SCHEMA, {"const": UNLIMITED}]})
]
"""Bits a second; infinity for ``unlimited``."""
Share = Annotated[
    float,
    text_validator(parse_share, "a share"),
    WithJsonSchema({"type": "string", "pattern": f"^{SHARE_PATTERN}$", "examples": ["5%", "0.5%"]}),
]
"""0 to 1."""


QUALITY_KEYS: Final = ("rate", "uplink", "delay", "jitter", "loss", "corruption", "duplication", "reordering")
DIRECTION_KEYS: Final = ("from", "to", "between")
_A_WAY: Final[dict[str, JsonValue]] = {"anyOf": [{"required": [key]} for key in DIRECTION_KEYS]}
_A_QUALITY: Final[dict[str, JsonValue]] = {"anyOf": [{"required": [key]} for key in QUALITY_KEYS]}


class DirectionModel(StrictModel):
    """A direction through the network: `from`, `to` or both, or `between`."""

    model_config = ConfigDict(json_schema_extra=_A_WAY)

    from_: NodeSelector | None = Field(
        None, alias="from", description="what these nodes send; without `to`, to all others"
    )
    to: NodeSelector | None = Field(None, description="what these nodes receive; without `from`, from all others")
    between: BetweenSides | None = Field(
        None, description="both directions between nodes of different items; `all`: between any two nodes"
    )


class ImpairmentModel(DirectionModel):
    """Qualities of links. A quality that is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"allOf": [_A_WAY, _A_QUALITY]})

    rate: LinkRate | None = Field(None, description="the most that each link carries")
    uplink: LinkRate | None = Field(
        None, description="the most that each of these nodes sends to all others together; needs `from` without `to`"
    )
    delay: Time | None = Field(None, description="one-way delay")
    jitter: Time | None = Field(None, description="variation of the delay, in both directions")
    loss: Share | None = Field(None, description="share of packets that are lost")
    corruption: Share | None = Field(None, description="share of packets with one flipped bit")
    duplication: Share | None = Field(None, description="share of packets that arrive twice")
    reordering: Share | None = Field(None, description="share of packets that overtake others; needs a `delay`")


LinkModel = ImpairmentModel
"""An item of ``links:``: the state of the network at t = 0."""

IsolationTarget = Annotated[
    Annotated[NodeSelector, Tag("as:other")] | Annotated[DirectionModel, Tag("as:map")],
    discriminate_by_shape(),
]
"""Nodes that are cut off from all others, or a direction in which nothing passes."""
PartitionTarget = Annotated[
    Annotated[PartitionSides, Tag("as:other")] | Annotated[DirectionModel, Tag("as:map")],
    discriminate_by_shape(),
]
"""Sides that are cut off from each other, or a direction in which nothing passes."""
