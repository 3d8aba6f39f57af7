"""The types of single values and of items, as Pydantic fields.

Every scalar of a document is the text that was written. Each type parses such a text, or raises an error with a hint,
and has the JSON Schema that editors use. An item's kind is determined by one of its keys: ``kill`` makes an event a
kill, ``share`` makes a node a seeder. Each kind has a model of its own; Pydantic reports places with the tag of a kind
(``verb:kill``), which messages do not show.

Tested by tests/unit/lab/scenario/test_wrong.py.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar, Union, get_args

from pydantic import BaseModel, ConfigDict, Discriminator, PlainValidator, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

from torrentnet.lab.scenario.language.scalars import (
    DURATION_PATTERN,
    NODE_NAME,
    RATE_PATTERN,
    SCENARIO_NAME,
    SIZE_PATTERN,
    InvalidValueError,
    Rate,
    format_size,
    parse_count,
    parse_duration,
    parse_event_name,
    parse_file_name,
    parse_interval,
    parse_rate,
    parse_scenario_name,
    parse_size,
)
from torrentnet.lab.scenario.language.selectors import Selector, parse_selector
from torrentnet.lab.scenario.plan.expectations import Interval
from torrentnet.runtime.units import UnitError
from torrentnet.wire.names import MAX_FILE_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

INVALID_VALUE: Final = "scenario"
"""Pydantic's type of the errors that these types raise; the context has ``text``, ``hint`` and ``item``."""

MAX_COUNT: Final = 500
MAX_SEED: Final = 2**63 - 1
MIN_MEMORY: Final = 32 * 2**20
"""Bytes; a Python program alone needs 20 MiB."""
MIN_LOG: Final = 64 * 2**10
MIN_DISK: Final = 4 * 2**10
MAX_PROCESSORS: Final = 256
MIN_PIECE: Final = 16 * 2**10
MAX_PIECE: Final = 64 * 2**20
REST_OF_RUN: Final = "rest"


class StrictModel(BaseModel):
    """Base of the language's models, which refuses unknown keys.

    Nothing changes after parsing.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_by_alias=True, validate_by_name=False, defer_build=True
    )


def value_validator(parse: Callable[[object], T], schema_type: Any = Any) -> PlainValidator:
    """Return a validator for a value that ``parse`` reads.

    The JSON Schema has ``schema_type``.
    """

    def validate(value: object) -> T:
        try:
            return parse(value)
        except UnitError as error:
            context = {"text": error.text, "hint": error.hint, "item": getattr(error, "item", None)}
            raise PydanticCustomError(INVALID_VALUE, "{text}", context) from None

    return PlainValidator(validate, json_schema_input_type=schema_type)


def text_validator(parse: Callable[[str], T], what: str, schema_type: Any = Any) -> PlainValidator:
    """Return a validator for a text that ``parse`` reads.

    ``what`` names the text, with its article.
    """

    def parse_text(value: object) -> T:
        if not isinstance(value, str):
            kind = "a list" if isinstance(value, list) else "a mapping"
            raise InvalidValueError(f"expected {what}, found {kind}")
        return parse(value)

    return value_validator(parse_text, schema_type)


def _positive_duration(text: str) -> float:
    seconds = parse_duration(text)
    if seconds <= 0:
        raise InvalidValueError(f"`{text}` must be longer than zero")
    return seconds


def _lasting_time(text: str) -> float | str:
    return REST_OF_RUN if text == REST_OF_RUN else _positive_duration(text)


def _piece_length(text: str) -> int:
    size = parse_size(text)
    if size & (size - 1) or not MIN_PIECE <= size <= MAX_PIECE:
        raise InvalidValueError(
            f"`{text}` is not a piece length", "write a power of two from `16KiB` to `64MiB`, such as `256KiB`"
        )
    return size


def _size_of_at_least(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        size = parse_size(text)
        if size < least:
            raise InvalidValueError(f"`{text}` is too little for a node", f"write `{format_size(least)}` or more")
        return size

    return parse


def _processors(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,2})?", text):
        raise InvalidValueError(f"`{text}` is not a number of processors", "write `1`, or `0.5` for half of one")
    if not 0.05 <= float(text) <= MAX_PROCESSORS:
        raise InvalidValueError(f"{text} is not between 0.05 and {MAX_PROCESSORS}")
    return float(text)


def _whole_number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if re.fullmatch(r"-[0-9]+", text):
            raise InvalidValueError(f"`{text[:40]}` is negative", f"write a number from {least} to {most}")
        if not re.fullmatch(r"[0-9]{1,20}", text):
            raise InvalidValueError(f"`{text}` is not a whole number", f"write a number from {least} to {most}")
        number = int(text)
        if not least <= number <= most:
            raise InvalidValueError(f"{text} is not between {least} and {most}")
        return number

    return parse


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise InvalidValueError(f"`{text}` is neither `true` nor `false`")
    return text == "true"


def _hold_time(text: str) -> float | str:
    if text in {"true", "yes"}:
        raise InvalidValueError(
            f"`{text}` does not say for how long", "write `always: 10s`, or `always: rest` for the rest of the run"
        )
    return _lasting_time(text)


def _text_line(text: str) -> str:
    if not text.strip():
        raise InvalidValueError("the text is empty")
    if any(not char.isprintable() for char in text):
        raise InvalidValueError("the text must be one line", "remove line breaks and control characters")
    return text


def _command(text: str) -> str:
    _text_line(text)
    try:
        shlex.split(text)
    except ValueError:
        raise InvalidValueError(
            f"`{text}` has an unclosed quote", "put a quote on both sides of a name with spaces"
        ) from None
    return text


def _text_list(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not value:
        raise InvalidValueError(
            "expected a text or a list of texts", "for example `leecher-1` or `[leecher-1, leecher-2]`"
        )
    found: list[str] = []
    for index, item in enumerate(value):
        if not isinstance(item, str):
            raise InvalidValueError("expected a text", item=index)
        try:
            found.append(_text_line(item))
        except InvalidValueError as error:
            raise InvalidValueError(error.text, error.hint, index if len(value) > 1 else None) from None
    return tuple(found)


def one_of(*allowed: str) -> PlainValidator:
    """Return a validator for one of some words."""

    def parse(text: str) -> str:
        if text not in allowed:
            names = ", ".join(f"`{name}`" for name in allowed)
            verb = "it can be" if len(allowed) > 1 else "it can only be"
            raise InvalidValueError(f"`{text}` is not allowed here", f"{verb} {names}")
        return text

    return text_validator(parse, "a word", Literal[allowed])


def program_name(*known: str) -> PlainValidator:
    """Return a validator for the name of a program.

    It is one that the lab knows, or that ``programs`` defines.
    """
    words: list[object] = [{"enum": list(known)}] if known else []
    named = WithJsonSchema({"anyOf": [*words, {"type": "string", "pattern": f"^{NODE_NAME.pattern}$"}]})
    return text_validator(lambda text: text, "the name of a program", Annotated[str, named])


DURATION_SCHEMA: Final = {"type": "string", "pattern": f"^{DURATION_PATTERN}$", "examples": ["500ms", "5s", "1m"]}
RATE_SCHEMA: Final = {"type": "string", "pattern": f"^{RATE_PATTERN}$", "examples": ["8mbit", "1MiB/s"]}
SIZE_SCHEMA: Final = {"type": "string", "pattern": f"^{SIZE_PATTERN}$", "examples": ["256KiB", "8MiB"]}

Time = Annotated[float, text_validator(parse_duration, "a time"), WithJsonSchema(DURATION_SCHEMA)]
"""Seconds after t = 0."""
Duration = Annotated[float, text_validator(_positive_duration, "a duration"), WithJsonSchema(DURATION_SCHEMA)]
"""Seconds, more than 0."""
_DURATION_OR_REST: Final = WithJsonSchema({"anyOf": [DURATION_SCHEMA, {"const": REST_OF_RUN}]})
LastingTime = Annotated[float | str, text_validator(_lasting_time, "a duration"), _DURATION_OR_REST]
"""Seconds, or ``rest`` for the rest of the run."""
HoldTime = Annotated[float | str, text_validator(_hold_time, "a duration"), _DURATION_OR_REST]
"""Seconds that something holds, or ``rest``."""
Flag = Annotated[bool, text_validator(_flag, "`true` or `false`"), WithJsonSchema({"type": "boolean"})]
EventName = Annotated[
    str,
    text_validator(parse_event_name, "a name"),
    WithJsonSchema({"type": "string", "pattern": f"^{NODE_NAME.pattern}$"}),
]
ExitStatus = Annotated[
    int,
    text_validator(_whole_number(0, 255), "a number"),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 255}),
]
Size = Annotated[int, text_validator(parse_size, "a size"), WithJsonSchema(SIZE_SCHEMA)]
"""Bytes."""
MemorySize = Annotated[int, text_validator(_size_of_at_least(MIN_MEMORY), "a size"), WithJsonSchema(SIZE_SCHEMA)]
LogSize = Annotated[int, text_validator(_size_of_at_least(MIN_LOG), "a size"), WithJsonSchema(SIZE_SCHEMA)]
DiskSize = Annotated[int, text_validator(_size_of_at_least(MIN_DISK), "a size"), WithJsonSchema(SIZE_SCHEMA)]
ProcessCount = Annotated[
    int,
    text_validator(_whole_number(16, 100_000), "a number"),
    WithJsonSchema({"type": "integer", "minimum": 16, "maximum": 100_000}),
]
OpenFileCount = Annotated[
    int,
    text_validator(_whole_number(64, 1_000_000), "a number"),
    WithJsonSchema({"type": "integer", "minimum": 64, "maximum": 1_000_000}),
]
ProcessorCount = Annotated[
    float, text_validator(_processors, "a number"), WithJsonSchema({"type": "number", "minimum": 0.05, "maximum": 256})
]
PieceLength = Annotated[int, text_validator(_piece_length, "a size"), WithJsonSchema(SIZE_SCHEMA)]
"""Bytes; a power of two."""
UploadRate = Annotated[Rate, text_validator(parse_rate, "a rate"), WithJsonSchema(RATE_SCHEMA)]
Count = Annotated[
    int,
    text_validator(_whole_number(1, MAX_COUNT), "a number"),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_COUNT}),
]
Seed = Annotated[
    int, text_validator(_whole_number(0, MAX_SEED), "a number"), WithJsonSchema({"type": "integer", "minimum": 0})
]
ScenarioName = Annotated[
    str,
    text_validator(parse_scenario_name, "a name"),
    WithJsonSchema({"type": "string", "pattern": f"^{SCENARIO_NAME.pattern}$"}),
]
FileName = Annotated[
    str,
    text_validator(parse_file_name, "the name of a file"),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_FILE_NAME}),
]
Command = Annotated[str, text_validator(_command, "a command"), WithJsonSchema({"type": "string", "minLength": 1})]
TextLine = Annotated[str, text_validator(_text_line, "a text"), WithJsonSchema({"type": "string", "minLength": 1})]
About = Annotated[
    str, text_validator(lambda text: " ".join(text.split()), "a text"), WithJsonSchema({"type": "string"})
]
ParameterValue = Annotated[
    str,
    text_validator(_text_line, "a text"),
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1}, {"type": "integer"}, {"type": "boolean"}]}),
]
"""A text that may look like a number to an editor."""
TextList = Annotated[
    tuple[str, ...],
    value_validator(_text_list),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
            ]
        }
    ),
]
NodeSelector = Annotated[
    Selector,
    value_validator(parse_selector),
    WithJsonSchema(
        {
            "description": "a node, a group, a list of them, `all`, `1 of leecher` or `30% of leecher`",
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ],
        }
    ),
]


def _interval_pattern(number: str) -> str:
    return rf"^((at least |at most )?{number}|{number} to {number})$"


CountInterval = Annotated[
    Interval,
    text_validator(lambda text: parse_interval(text, parse_count), "a number"),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": _interval_pattern("[0-9]+")}]},
    ),
]
ByteInterval = Annotated[
    Interval,
    text_validator(lambda text: parse_interval(text, parse_size), "a size"),
    WithJsonSchema({"type": "string", "pattern": _interval_pattern(SIZE_PATTERN), "examples": ["at most 10MiB"]}),
]


TAGS: Final = ("content:", "role:", "verb:", "check:", "as:")
"""Prefixes of tags; no key of the language contains a colon."""


def is_tag(step: str | int) -> bool:
    """Return whether a step of a reported place is a tag, which is not in the file."""
    return isinstance(step, str) and step.startswith(TAGS)


def discriminate_by_shape(prefix: str = "as:") -> Discriminator:
    """Choose between a mapping (the tag ``map``) and any other value (``other``)."""

    def choose(item: Any) -> str:
        return prefix + ("map" if isinstance(item, dict) else "other")

    return Discriminator(choose)


def models_by_key(union: Any) -> dict[str, Any]:
    """Return the models of a union, each by the key that identifies it.

    The key is the model's first field: an item that has it is parsed by that model.
    """
    return {next(iter(model.__annotations__)): model for model in get_args(union)}


def tagged_union(prefix: str, models: Mapping[str, type[StrictModel]]) -> Any:
    """Return, for Pydantic, the type of an item whose kind a key determines.

    The kind is chosen by the first of the keys of ``models`` that the item has.
    """

    def choose(item: Any) -> str | None:
        return next((prefix + key for key in item if key in models), None) if isinstance(item, dict) else None

    tagged = tuple(Annotated[model, Tag(prefix + key)] for key, model in models.items())
    return Annotated[Union[tagged], Discriminator(choose)]  # noqa: UP007
