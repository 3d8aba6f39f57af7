"""The language of rubrics, as Pydantic models.

Every scalar of a document is the text that was written. The experiments are scenarios, whose values the language of
scenarios checks.

Tested by tests/unit/lab/tools/grade/test_load_rubric.py.
"""

import json
import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from torrentnet.lab.tools.grade.rubric import CreditRule

WRONG_VALUE: Final = "rubric"
"""Pydantic's type of the errors that these types raise; the context has ``text`` and ``hint``."""
MAX_POINTS: Final = 1000.0
MAX_CRITERIA: Final = 200
MAX_EXPERIMENTS: Final = 50
_KEY: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_POINTS: Final = re.compile(r"\d{1,4}(\.\d{1,2})?")


def _wrong(text: str, hint: str) -> PydanticCustomError:
    return PydanticCustomError(WRONG_VALUE, "{text}", {"text": text, "hint": hint})


def _parse_points(value: object) -> float:
    text = value if isinstance(value, str) else ""
    if not _POINTS.fullmatch(text) or not 0 < float(text) <= MAX_POINTS:
        raise _wrong(f"`{value}` is no number of points", "write a number above 0, as `7` or `2.5`")
    return float(text)


def _parse_number(value: object) -> int:
    if not (isinstance(value, str) and value.isdecimal() and 1 <= int(value[:6]) <= 500):
        raise _wrong(f"`{value}` is no number of nodes", "write a whole number from 1 to 500")
    return int(value)


def _parse_key(value: object) -> str:
    if not (isinstance(value, str) and _KEY.fullmatch(value)):
        raise _wrong(f"`{value}` is no key", "use small letters, digits, `-` and `_`, as in `15a`")
    return value


def _parse_line(value: object) -> str:
    if not (isinstance(value, str) and value.strip()):
        raise _wrong("expected a text", "write a sentence")
    return value.strip()


def _parse_credit(value: object) -> CreditRule:
    if value not in set(CreditRule):
        raise _wrong(f"`{value}` is no way to give points", "write `all` or `share`")
    return CreditRule(str(value))


def _as_list(value: object) -> object:
    return [value] if isinstance(value, (str, dict)) else value


def _not_empty(value: list[Any]) -> list[Any]:
    if not value:
        raise _wrong("the list is empty", "write one item at least")
    return value


def _text_schema(pattern: re.Pattern[str]) -> WithJsonSchema:
    return WithJsonSchema({"type": ["string", "number"], "pattern": f"^{pattern.pattern}$"})


Points = Annotated[float, BeforeValidator(_parse_points), WithJsonSchema({"type": "number", "exclusiveMinimum": 0})]
NodeCount = Annotated[int, BeforeValidator(_parse_number), WithJsonSchema({"type": "integer", "minimum": 1})]
Key = Annotated[str, BeforeValidator(_parse_key), _text_schema(_KEY)]
Line = Annotated[str, BeforeValidator(_parse_line)]
CreditWord = Annotated[CreditRule, BeforeValidator(_parse_credit)]
Expectations = Annotated[
    list[dict[str, Any]],
    BeforeValidator(_as_list),
    AfterValidator(_not_empty),
    WithJsonSchema({"type": ["object", "array"], "minItems": 1, "items": {"type": "object"}}),
]
Keys = Annotated[
    list[Key],
    BeforeValidator(_as_list),
    AfterValidator(_not_empty),
    WithJsonSchema({"type": ["string", "number", "array"], "minItems": 1}),
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PartialModel(_Model):
    """What gives some of the points where the rest does not hold."""

    points: Points
    expect: Expectations = Field(description="expectations as in a scenario; each must hold")
    any_of: Expectations | None = Field(None, description="expectations of which one must hold")


class CriterionModel(_Model):
    """One line of the rubric."""

    title: Line = Field(description="a few words: the column's head")
    points: Points
    experiment: Line = Field(description="the name of the experiment that decides it")
    expect: Expectations = Field(description="expectations as in a scenario; each must hold")
    any_of: Expectations | None = Field(None, description="expectations of which one must hold")
    enough: NodeCount | None = Field(None, description="on how many nodes `expect` must hold; on all by default")
    credit: CreditWord = Field(
        CreditRule.ALL, description="`share` gives points by the share of the nodes; `all` is usual"
    )
    partial: PartialModel | None = Field(None, description="what gives some of the points")
    needs: Keys | None = Field(None, description="criteria without which this one is not tried")
    did: Line | None = Field(None, description="what the grader does, for the student")
    expected: Line | None = Field(None, description="what is expected, for the student")
    hint: Line | None = Field(None, description="where to look when it does not hold")


class RubricModel(_Model):
    """A rubric."""

    name: Key
    about: Line
    reference: Line | None = Field(None, description="path of a submission that gets all points, from this file on")
    experiments: dict[Key, dict[str, Any]] = Field(
        description="scenarios without `name` and `expect`; all peers and the tracker run the submission"
    )
    criteria: dict[Key, CriterionModel]


def schema() -> dict[str, Any]:
    """Return the JSON Schema of rubrics, for editors."""
    document = RubricModel.model_json_schema(by_alias=True)
    return {"$schema": "http://json-schema.org/draft-07/schema#", **document}


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))
