"""Which ways through the network are meant, and what is asked of them: ``links:``, ``impair``, ``isolate`` ...

Directions are words: ``from`` somebody, ``to`` somebody, or ``between``.
"""

import math
from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue, PlainValidator, Tag, WithJsonSchema

from torrentnet.lab.scenario.keyed import by_shape
from torrentnet.lab.scenario.selectors import Selector, SelectorError, parse_selector
from torrentnet.lab.scenario.types import RATE_SCHEMA, Nodes, Part, Time, text_type, wrong
from torrentnet.lab.scenario.units import SHARE_PATTERN, parse_rate, parse_share

UNLIMITED = "unlimited"
Sides = tuple[Selector, ...]
"""Two or more groups of nodes, or with ``between`` a single one: everybody in it."""


def _rate(text: str) -> float:
    return math.inf if text == UNLIMITED else float(parse_rate(text).bits)


def _sides(value: object, least: int) -> Sides:
    if isinstance(value, str) and least == 1:
        return (_side(value, None),)
    if not isinstance(value, list) or not value:
        example = "`[[tracker, seeder], [leecher]]`" if least > 1 else "`all` or `[seeder, leecher]`"
        raise wrong("expected a list of sides" if least > 1 else "expected nodes", f"for example {example}")
    if len(value) < least:
        raise wrong("a partition has two sides or more", "for example `[[tracker, seeder], [leecher]]`")
    return tuple(_side(side, index) for index, side in enumerate(value))


def _side(value: object, item: int | None) -> Selector:
    try:
        return parse_selector(value)
    except SelectorError as error:
        raise wrong(error.text, error.hint, item) from None


_SIDE = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
    ]
}
Between = Annotated[
    Sides,
    PlainValidator(lambda value: _sides(value, 1)),
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": _SIDE, "minItems": 1}]}),
]
"""``all`` and ``leecher``: between any two of them. ``[seeder, leecher]``: between nodes of different items."""
Parts = Annotated[
    Sides,
    PlainValidator(lambda value: _sides(value, 2)),
    WithJsonSchema({"type": "array", "items": _SIDE, "minItems": 2}),
]
LinkRate = Annotated[
    float,
    text_type(_rate, "a rate"),
    WithJsonSchema({"anyOf": [RATE_SCHEMA, {"const": UNLIMITED}]}),
]
"""Bits a second; infinity for ``unlimited``."""
Share = Annotated[
    float,
    text_type(parse_share, "a share"),
    WithJsonSchema({"type": "string", "pattern": SHARE_PATTERN, "examples": ["5%", "0.5%"]}),
]
"""0 to 1."""


QUALITIES = ("rate", "uplink", "delay", "jitter", "loss", "corruption", "duplication", "reordering")
WAYS = ("from", "to", "between")
_A_WAY: dict[str, JsonValue] = {"anyOf": [{"required": [key]} for key in WAYS]}
_A_QUALITY: dict[str, JsonValue] = {"anyOf": [{"required": [key]} for key in QUALITIES]}


class Way(Part):
    """A direction through the network: `from`, `to` or both of them, or `between`."""

    model_config = ConfigDict(json_schema_extra=_A_WAY)

    from_: Nodes | None = Field(None, alias="from", description="what these nodes send; to everybody without `to`")
    to: Nodes | None = Field(None, description="what reaches these nodes; from everybody without `from`")
    between: Between | None = Field(
        None, description="both directions between nodes of different items; `all`: between any two"
    )


class Impairment(Way):
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


Link = Impairment
"""An item of ``links:``: the state of the network at t = 0."""

Isolated = Annotated[
    Annotated[Nodes, Tag("as:other")] | Annotated[Way, Tag("as:map")],
    by_shape(),
]
"""Nodes that are cut off from all others, or a direction in which nothing passes."""
Parted = Annotated[
    Annotated[Parts, Tag("as:other")] | Annotated[Way, Tag("as:map")],
    by_shape(),
]
"""Sides that are cut off from each other, or a direction in which nothing passes."""
