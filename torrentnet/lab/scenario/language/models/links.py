"""Which ways through the network are meant, and what is asked of them: ``links:``, ``impair``, ``isolate`` ...

Directions are words: ``from`` somebody, ``to`` somebody, or ``between``.
"""

import math
from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue, PlainValidator, Tag, WithJsonSchema

from torrentnet.lab.scenario.language.models.tags import discriminate_by_shape
from torrentnet.lab.scenario.language.models.values import (
    RATE_SCHEMA,
    NodeSelector,
    StrictModel,
    Time,
    invalid_value,
    text_validator,
)
from torrentnet.lab.scenario.language.selectors import Selector, SelectorError, parse_selector
from torrentnet.lab.scenario.language.units import SHARE_PATTERN, parse_rate, parse_share

UNLIMITED = "unlimited"
SelectorSides = tuple[Selector, ...]
"""Two or more groups of nodes, or with ``between`` a single one: everybody in it."""


def _rate(text: str) -> float:
    return math.inf if text == UNLIMITED else float(parse_rate(text).bits)


def _sides(value: object, least: int) -> SelectorSides:
    if isinstance(value, str) and least == 1:
        return (_side(value, None),)
    if not isinstance(value, list) or not value:
        example = "`[[tracker, seeder], [leecher]]`" if least > 1 else "`all` or `[seeder, leecher]`"
        raise invalid_value("expected a list of sides" if least > 1 else "expected nodes", f"for example {example}")
    if len(value) < least:
        raise invalid_value("a partition has two sides or more", "for example `[[tracker, seeder], [leecher]]`")
    return tuple(_side(side, index) for index, side in enumerate(value))


def _side(value: object, item: int | None) -> Selector:
    try:
        return parse_selector(value)
    except SelectorError as error:
        raise invalid_value(error.text, error.hint, item) from None


_SIDE = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
    ]
}
BetweenSides = Annotated[
    SelectorSides,
    PlainValidator(lambda value: _sides(value, 1)),
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": _SIDE, "minItems": 1}]}),
]
"""``all`` and ``leecher``: between any two of them. ``[seeder, leecher]``: between nodes of different items."""
PartitionSides = Annotated[
    SelectorSides,
    PlainValidator(lambda value: _sides(value, 2)),
    WithJsonSchema({"type": "array", "items": _SIDE, "minItems": 2}),
]
LinkRate = Annotated[
    float,
    text_validator(_rate, "a rate"),
    WithJsonSchema({"anyOf": [RATE_SCHEMA, {"const": UNLIMITED}]}),
]
"""Bits a second; infinity for ``unlimited``."""
Share = Annotated[
    float,
    text_validator(parse_share, "a share"),
    WithJsonSchema({"type": "string", "pattern": SHARE_PATTERN, "examples": ["5%", "0.5%"]}),
]
"""0 to 1."""


QUALITY_KEYS = ("rate", "uplink", "delay", "jitter", "loss", "corruption", "duplication", "reordering")
DIRECTION_KEYS = ("from", "to", "between")
_A_WAY: dict[str, JsonValue] = {"anyOf": [{"required": [key]} for key in DIRECTION_KEYS]}
_A_QUALITY: dict[str, JsonValue] = {"anyOf": [{"required": [key]} for key in QUALITY_KEYS]}


class DirectionModel(StrictModel):
    """A direction through the network: `from`, `to` or both of them, or `between`."""

    model_config = ConfigDict(json_schema_extra=_A_WAY)

    from_: NodeSelector | None = Field(
        None, alias="from", description="what these nodes send; to everybody without `to`"
    )
    to: NodeSelector | None = Field(None, description="what reaches these nodes; from everybody without `from`")
    between: BetweenSides | None = Field(
        None, description="both directions between nodes of different items; `all`: between any two"
    )


class ImpairmentModel(DirectionModel):
    """Qualities of the ways between nodes. What is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"allOf": [_A_WAY, _A_QUALITY]})

    rate: LinkRate | None = Field(None, description="the most that passes, for each directed pair of nodes by itself")
    uplink: LinkRate | None = Field(
        None, description="the most that one of these nodes sends to all others together; goes with `from` alone"
    )
    delay: Time | None = Field(None, description="how much later everything arrives, one way")
    jitter: Time | None = Field(None, description="how much the delay varies, to both sides")
    loss: Share | None = Field(None, description="share of packets that do not arrive")
    corruption: Share | None = Field(None, description="share of packets in which a bit is turned")
    duplication: Share | None = Field(None, description="share of packets that arrive twice")
    reordering: Share | None = Field(None, description="share of packets that overtake others; needs a delay")


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
