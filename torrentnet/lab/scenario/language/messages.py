"""From Pydantic's errors to sentences for the person who wrote the file.

Pydantic says which rule a value broke and where in the data; here that becomes a line and a column, a sentence in the
words of the language, and a hint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from torrentnet.lab.scenario.language.document import (
    Document,
    DocumentNode,
    KeyPath,
    MappingNode,
    SequenceNode,
    to_plain_data,
)
from torrentnet.lab.scenario.language.models.expectations import (
    CHECK_MODELS,
    ExpectationModel,
    LogEventModel,
    TrafficModel,
)
from torrentnet.lab.scenario.language.models.links import DirectionModel, ImpairmentModel
from torrentnet.lab.scenario.language.models.nodes import NODE_MODELS, TrackerOptionsModel
from torrentnet.lab.scenario.language.models.scenario import FILE_MODELS, ScenarioModel
from torrentnet.lab.scenario.language.models.tags import is_tag
from torrentnet.lab.scenario.language.models.timeline import EVENT_MODELS, EventModel
from torrentnet.lab.scenario.language.models.values import INVALID_VALUE, StrictModel
from torrentnet.lab.scenario.language.parameters import PARAMETERS_SECTION
from torrentnet.runtime.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Mapping as Dict

    from pydantic_core import ErrorDetails

    from torrentnet.lab.errors import Problem

MODELS_BY_KEY: dict[str, Dict[str, type[StrictModel]]] = {
    "files": FILE_MODELS,
    "nodes": NODE_MODELS,
    "timeline": EVENT_MODELS,
    "expect": CHECK_MODELS,
}
"""Section to key to the kind of item that the key makes."""
ITEM_SECTIONS = frozenset({*MODELS_BY_KEY, "links"})
"""Sections of items that can be wrong one by one."""
_INNER: dict[str, type[StrictModel]] = {
    "tracker": TrackerOptionsModel,
    "impair": ImpairmentModel,
    "isolate": DirectionModel,
    "partition": DirectionModel,
    "bytes": TrafficModel,
    "log": LogEventModel,
}
"""Key of an item to the mapping behind it."""
_COMMON: dict[str, type[StrictModel]] = {
    "files": StrictModel,
    "nodes": StrictModel,
    "timeline": EventModel,
    "expect": ExpectationModel,
}
"""What can be said about an item even if its kind is unknown."""
_NO_KIND = {
    "files": "it is not said where the content comes from",
    "nodes": "it is not said what this node is",
    "timeline": "there is no verb",
    "expect": "there is nothing to check",
}
_ITEM = {
    "files": "`{size: 8MiB}`",
    "nodes": "`{share: myfile.txt}`",
    "timeline": "`{at: 5s, kill: seeder-1}`",
    "expect": "`{node: leecher, has: myfile.txt}`",
    "links": "`{between: all, loss: 1%}`",
}
_MISSING = {
    "nodes": "a scenario needs at least `nodes: {tracker: {tracker: {}}}` and some peers",
    "node": "say who is meant: `node: leecher`",
    "event": "say which: `log: {event: bad_piece}`",
}
_SECTION_SHAPE = {
    "parameters": "for example `parameters: {leechers: 30}`",
    "links": "each item begins with `- `",
    "files": "for example `files: {myfile.txt: {size: 8MiB}}`",
    "nodes": "a mapping of names: `seeder: {share: myfile.txt, count: 3}`",
    "timeline": "each item begins with `- `",
    "expect": "each item begins with `- `",
}


_ELSEWHERE = {
    "one_way": "directions are words: `partition: {from: seeder, to: leecher}`",
    "cut": "`partition` and `isolate` cut",
    "bandwidth": "did you mean `rate`?",
    "latency": "did you mean `delay`?",
    "drop": "did you mean `loss`?",
    "duration": "did you mean `for`?",
}
"""Words for something that the language says otherwise."""
_INNER_SHAPE = {
    "tracker": "for the defaults write `{}`",
    "impair": "for example `impair: {between: [seeder, leecher], loss: 5%}`",
    "bytes": "for example `bytes: {received: at most 10MiB}`",
}


def strip_tags(loc: tuple[str | int, ...]) -> KeyPath:
    """A place as Pydantic reports it, without the tags that stand for nothing in the file."""
    return tuple(step for step in loc if not is_tag(step))


def translate_error(error: ErrorDetails, document: Document) -> Iterator[Problem]:
    """What a person has to know about one of Pydantic's errors; seldom more than one problem."""
    loc = strip_tags(error["loc"])
    kind = error["type"]
    if kind == INVALID_VALUE:
        context: dict[str, Any] = error.get("ctx", {})
        if context["item"] is not None:
            loc = (*loc, context["item"])
        hint = context["hint"] or _wrong_shape(loc, context["text"])
        yield document.problem(loc, context["text"], hint, at_value=True)
    elif kind == "missing":
        yield from _missing(loc, document)
    elif kind == "extra_forbidden":
        yield _unknown_key(loc, document)
    elif kind in {"union_tag_not_found", "union_tag_invalid"}:
        yield from _no_kind(loc, document)
    elif kind == "list_type":
        _, tree = document.find(loc)
        yield document.problem(
            loc, f"expected a list, found {describe_node(tree)}", _SECTION_SHAPE.get(str(loc[-1]), ""), at_value=True
        )
    elif kind in {"dict_type", "model_type", "model_attributes_type"}:
        _, tree = document.find(loc)
        hint = _SECTION_SHAPE.get(str(loc[-1]), "")
        if len(loc) == 3:
            hint = _INNER_SHAPE.get(str(loc[-1]), "")
        elif len(loc) == 2 and loc[0] == "links":
            hint = f"for example {_ITEM['links']}"
        yield document.problem(loc, f"expected a mapping, found {describe_node(tree)}", hint, at_value=True)
    else:
        yield document.problem(loc, error["msg"], at_value=True)


def _wrong_shape(loc: KeyPath, text: str) -> str:
    """A hint where something stands that is no text."""
    if not text.startswith("expected") or len(loc) < 2:
        return ""
    if loc[0] == PARAMETERS_SECTION:
        return "a parameter is its default: `leechers: 30`"
    if loc[0] == "timeline" and loc[-1] in {"run", "console"}:
        return f"for example `{{at: 5s, {loc[-1]}: {'ls /data' if loc[-1] == 'run' else 'status'}, node: leecher-1}}`"
    if loc[0] == "expect" and loc[-1] == "log":
        return "for example `log: completed`, or `log: {event: bad_piece}`"
    return ""


def describe_node(tree: DocumentNode | None) -> str:
    """What stands in the file, in a few words."""
    if isinstance(tree, MappingNode):
        return "a mapping"
    if isinstance(tree, SequenceNode):
        return "a list"
    return "nothing" if tree is None or tree.text is None else f"`{tree.text[:40]}`"


def join_alternatives(words: Sequence[str]) -> str:
    """`` `pause`, `isolate` or `impair` ``."""
    *first, last = [f"`{word}`" for word in words]
    return f"{', '.join(first)} or {last}" if first else last


def model_keys(model: type[BaseModel]) -> list[str]:
    """A model's keys as they are written in the file."""
    return [info.alias or name for name, info in model.model_fields.items()]


def _missing(loc: KeyPath, document: Document) -> Iterator[Problem]:
    *parent, field = loc
    if tuple(parent) in document.dropped:
        return
    yield document.problem(tuple(parent), f"`{field}` is missing", _MISSING.get(str(field), ""))


def _unknown_key(loc: KeyPath, document: Document) -> Problem:
    key = str(loc[-1])
    section = str(loc[0])
    if len(loc) == 1:
        return document.problem(loc, f"unknown key `{key}`", did_you_mean(key, model_keys(ScenarioModel)))
    if len(loc) > 3 or section == "links":
        model = ImpairmentModel if section == "links" else _INNER[str(loc[2])]
        return document.problem(
            loc, f"unknown key `{key}`", _ELSEWHERE.get(key) or did_you_mean(key, model_keys(model))
        )
    kinds = MODELS_BY_KEY[section]
    _, item = document.find(loc[:2])
    assert isinstance(item, MappingNode)
    chosen = next(name for name in item.keys() if name in kinds)  # noqa: SIM118
    if key in kinds:
        text, hint = f"`{chosen}` and `{key}` exclude each other", _split_hint(section)
    else:
        owners = [name for name, model in kinds.items() if key in model_keys(model)]
        if owners:
            text = f"`{key}` goes with {join_alternatives(owners)}, not with `{chosen}`"
            hint = "allowed here: " + ", ".join(f"`{name}`" for name in model_keys(kinds[chosen]))
        else:
            text = f"unknown key `{key}`"
            hint = _ELSEWHERE.get(key) or did_you_mean(key, model_keys(kinds[chosen]))
    return document.problem(loc, text, hint)


def _split_hint(section: str) -> str:
    return {
        "files": "a file has one of them",
        "nodes": "make two groups of them",
        "timeline": "write two items with the same time",
        "expect": "write two items",
    }[section]


def _no_kind(loc: KeyPath, document: Document) -> Iterator[Problem]:
    section = str(loc[0])
    kinds = MODELS_BY_KEY[section]
    _, item = document.find(loc)
    names = ", ".join(f"`{name}`" for name in kinds)
    if not isinstance(item, MappingNode):
        yield document.problem(
            loc, f"expected a mapping, found {describe_node(item)}", f"for example {_ITEM[section]}", at_value=True
        )
        return
    known = {key for model in kinds.values() for key in model_keys(model)}
    explained = loc in document.dropped
    for key in item.keys():  # noqa: SIM118
        if key not in known:
            hint = did_you_mean(key, [*kinds, *sorted(known - set(kinds))])
            explained = explained or any(f"`{kind}`?" in hint for kind in kinds)
            yield document.problem((*loc, key), f"unknown key `{key}`", hint)
    if not explained:
        yield document.problem(loc, _NO_KIND[section], f"one of {names}")
    yield from _common_errors(loc, item, document)


def _common_errors(loc: KeyPath, item: MappingNode, document: Document) -> Iterator[Problem]:
    try:
        _COMMON[str(loc[0])].model_validate(to_plain_data(item))
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if detail["type"] != "extra_forbidden":
                detail["loc"] = (*loc, *detail["loc"])
                yield from translate_error(detail, document)
