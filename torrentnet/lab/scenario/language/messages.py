"""Translation of Pydantic's errors into messages for a scenario's author.

Pydantic reports which rule a value broke, and where in the data. A message has a line and a column, a sentence in the
words of the language, and a hint.

Tested by tests/unit/lab/scenario/test_wrong.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ValidationError

from torrentnet.lab.scenario.language.document import (
    Document,
    DocumentNode,
    KeyPath,
    MappingNode,
    ScalarNode,
    SequenceNode,
    to_plain_data,
)
from torrentnet.lab.scenario.language.models.expectations import (
    CHECK_MODELS,
    ContentModel,
    ExpectationModel,
    LogEventModel,
    TrafficModel,
)
from torrentnet.lab.scenario.language.models.links import DirectionModel, ImpairmentModel
from torrentnet.lab.scenario.language.models.programs import ProgramModel
from torrentnet.lab.scenario.language.models.scenario import (
    FILE_MODELS,
    NODE_MODELS,
    LimitsModel,
    ScenarioModel,
    TrackerOptionsModel,
)
from torrentnet.lab.scenario.language.models.timeline import EVENT_MODELS, EventModel
from torrentnet.lab.scenario.language.models.values import INVALID_VALUE, StrictModel, is_tag
from torrentnet.lab.scenario.language.parameters import PARAMETERS_SECTION
from torrentnet.lab.scenario.language.syntax_errors import missing_space
from torrentnet.runtime.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pydantic_core import ErrorDetails

    from torrentnet.lab.errors import Problem


@dataclass(frozen=True, slots=True)
class _Section:
    """A section whose items are known by one of their keys, with its messages."""

    models: Mapping[str, type[StrictModel]]
    """Key -> the kind of item that the key makes."""
    common: type[StrictModel]
    """What can be checked of an item even if its kind is unknown."""
    no_kind: str
    clash_hint: str
    """Where an item has two kinds."""
    example: str


_SECTIONS: Final = {
    "files": _Section(FILE_MODELS, StrictModel, "the file has no content", "keep one of them", "`{size: 8MiB}`"),
    "nodes": _Section(NODE_MODELS, StrictModel, "the node has no role", "write two groups", "`{share: myfile.txt}`"),
    "timeline": _Section(
        EVENT_MODELS,
        EventModel,
        "the event has no verb",
        "write two items with the same time",
        "`{at: 5s, kill: seeder-1}`",
    ),
    "expect": _Section(
        CHECK_MODELS,
        ExpectationModel,
        "the expectation has no check",
        "write two items",
        "`{node: leecher, has: myfile.txt}`",
    ),
}
ITEM_SECTIONS: Final = frozenset({*_SECTIONS, "links", "programs"})
"""Sections whose items can be set aside one by one."""
_INNER_MODELS: Final[dict[str, type[StrictModel]]] = {
    "links": ImpairmentModel,
    "tracker": TrackerOptionsModel,
    "impair": ImpairmentModel,
    "isolate": DirectionModel,
    "partition": DirectionModel,
    "bytes": TrafficModel,
    "pairs": ContentModel,
    "programs": ProgramModel,
    "log": LogEventModel,
    "limits": LimitsModel,
}
"""Key of an item, or section -> the mapping behind it."""
_MISSING_HINTS: Final = {
    "nodes": "a scenario needs at least `nodes: {tracker: {tracker: {}}}` and some peers",
    "node": "add the nodes: `node: leecher`",
    "event": "add its name: `log: {event: bad_piece}`",
    "with": "add the other nodes: `with: seeder`",
}
_MAPPING_HINTS: Final = {
    "parameters": "for example `parameters: {leechers: 30}`",
    "files": "for example `files: {myfile.txt: {size: 8MiB}}`",
    "programs": "for example `programs: {mine: {path: ../mine}}`",
    "nodes": "write names with their nodes: `seeder: {share: myfile.txt, count: 3}`",
    "links": "for example `{between: all, loss: 1%}`",
    "tracker": "for the defaults write `{}`",
    "impair": "for example `impair: {between: [seeder, leecher], loss: 5%}`",
    "limits": "for example `limits: {memory: 256MiB}`",
    "bytes": "for example `bytes: {received: at most 10MiB}`",
    "pairs": "for example `pairs: {with: seeder, received: at least 1MiB}`",
}
"""Section or key -> the hint where a mapping is expected."""
_SECTION_WORDS: Final = {
    "nodes": {
        "download": "get",
        "leech": "get",
        "fetch": "get",
        "file": "get",
        "seed": "share",
        "serve": "share",
        "rate": "upload",
        "bandwidth": "upload",
        "delay": "start",
        "number": "count",
        "replicas": "count",
    },
    "timeline": {
        "crash": "kill",
        "terminate": "stop",
        "end": "stop",
        "freeze": "pause",
        "suspend": "pause",
        "reboot": "restart",
        "split": "partition",
        "cut": "isolate",
        "exec": "run",
        "command": "run",
        "after": "when",
        "time": "at",
    },
    "expect": {
        "nodes": "node",
        "file": "has",
        "completes": "has",
        "event": "log",
        "status": "state",
        "timeout": "within",
    },
}
"""Section -> words of other programs, and the language's word for each."""
_OTHER_WORDS: Final = {
    "one_way": "write the direction: `partition: {from: seeder, to: leecher}`",
    "cut": "`partition` and `isolate` cut links",
    "bandwidth": "did you mean `rate`?",
    "latency": "did you mean `delay`?",
    "drop": "did you mean `loss`?",
    "duration": "did you mean `for`?",
}
"""Words for something that the language calls by another name."""


def strip_tags(loc: tuple[str | int, ...]) -> KeyPath:
    """Return a place that Pydantic reports, without the tags of unions."""
    return tuple(step for step in loc if not is_tag(step))


def translate_error(error: ErrorDetails, document: Document) -> Iterator[Problem]:
    """Yield the problems of one of Pydantic's errors; seldom more than one."""
    loc = strip_tags(error["loc"])
    kind = error["type"]
    if kind == INVALID_VALUE:
        context: dict[str, Any] = error.get("ctx", {})
        if context["item"] is not None:
            loc = (*loc, context["item"])
        hint = context["hint"] or _shape_hint(loc, context["text"])
        yield document.problem(loc, context["text"], hint, at_value=True)
    elif kind == "missing":
        yield from _missing(loc, document)
    elif kind == "extra_forbidden":
        yield _unknown_key(loc, document)
    elif kind in {"union_tag_not_found", "union_tag_invalid"}:
        yield from _no_kind(loc, document)
    elif kind == "list_type":
        example = _SECTIONS[str(loc[0])].example if loc[0] in _SECTIONS else "`{between: all, loss: 1%}`"
        no_value = "; without any write `expect: none`" if loc == ("expect",) else ""
        yield _wrong_shape(loc, document, "a list", f"begin each item with `- `: `- {example[1:-1]}`{no_value}")
    elif kind in {"dict_type", "model_type", "model_attributes_type"}:
        yield _wrong_shape(loc, document, "a mapping", _mapping_hint(loc, document))
    else:
        yield document.problem(loc, error["msg"], at_value=True)


def _mapping_hint(loc: KeyPath, document: Document, otherwise: str = "") -> str:
    """Return a hint where something else is in the place of a mapping."""
    _, node = document.find(loc)
    if isinstance(node, ScalarNode) and node.text:
        if parts := missing_space(node.text):
            return f"write a space after the colon: `{parts[0]}: {parts[1]}`"
        if loc[0] == "files" and len(loc) == 2:
            return f"write `{{size: {node.text}}}`"
    if isinstance(node, SequenceNode) and len(loc) == 2 and loc[1] in model_keys(ScenarioModel):
        return f"`{loc[1]}:` belongs to the beginning of its line"
    if isinstance(node, SequenceNode) and len(loc) == 1:
        return f"remove the dashes; {_MAPPING_HINTS.get(str(loc[0]), '')}"
    return otherwise or _MAPPING_HINTS.get(str(loc[0] if len(loc) == 2 else loc[-1]), "")


def missing_value(loc: KeyPath, document: Document) -> Problem:
    """Return the problem of a key or an item without a value."""
    key = loc[-1]
    if not isinstance(key, str):
        return document.problem(loc, "the item is empty", "write one behind the dash, or remove the dash")
    hint = "write one, or remove the key"
    if key in {"tracker", "expect"}:
        hint = "for the defaults write `{}`" if key == "tracker" else "for a run without expectations write `none`"
        hint = "write `tracker: {tracker: {}}`" if loc == ("nodes", "tracker") else hint
    return document.problem(loc, f"`{key}` has no value", hint)


def _wrong_shape(loc: KeyPath, document: Document, expected: str, hint: str) -> Problem:
    _, node = document.find(loc)
    return document.problem(loc, f"expected {expected}, found {_describe_node(node)}", hint, at_value=True)


def _shape_hint(loc: KeyPath, text: str) -> str:
    """Return a hint where a mapping or a list is in the place of a text."""
    if not text.startswith("expected") or len(loc) < 2:
        return ""
    if loc[0] == PARAMETERS_SECTION:
        return "write the parameter's default: `leechers: 30`"
    if loc[0] == "timeline" and loc[-1] in {"run", "console"}:
        return f"for example `{{at: 5s, {loc[-1]}: {'ls /data' if loc[-1] == 'run' else 'status'}, node: leecher-1}}`"
    if loc[0] == "expect" and loc[-1] == "log":
        return "for example `log: completed`, or `log: {event: bad_piece}`"
    return ""


def _describe_node(node: DocumentNode | None) -> str:
    """Describe a value of the file in a few words."""
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    return "nothing" if node is None or node.text is None else f"`{node.text[:40]}`"


def _join_alternatives(words: Sequence[str]) -> str:
    """Return `` `pause`, `isolate` or `impair` ``."""
    *first, last = [f"`{word}`" for word in words]
    return f"{', '.join(first)} or {last}" if first else last


def model_keys(model: type[BaseModel]) -> list[str]:
    """Return a model's keys as they are written in the file."""
    return [info.alias or name for name, info in model.model_fields.items()]


def _missing(loc: KeyPath, document: Document) -> Iterator[Problem]:
    *parent, field = loc
    if tuple(parent) not in document.incomplete:
        yield document.problem(tuple(parent), f"`{field}` is missing", _MISSING_HINTS.get(str(field), ""))


def _unknown_key(loc: KeyPath, document: Document) -> Problem:
    key = str(loc[-1])
    section = str(loc[0])
    if len(loc) == 1:
        return document.problem(loc, f"unknown key `{key}`", did_you_mean(key, model_keys(ScenarioModel)))
    if len(loc) > 3 or section in {"links", "limits", "programs"}:
        model = _INNER_MODELS[str(loc[2]) if len(loc) > 3 and section not in {"links", "programs"} else section]
        hint = _OTHER_WORDS.get(key) or did_you_mean(key, model_keys(model))
        return document.problem(loc, f"unknown key `{key}`", hint)
    kinds = _SECTIONS[section].models
    _, item = document.find(loc[:2])
    assert isinstance(item, MappingNode)
    chosen = next(name for name in item.keys() if name in kinds)  # noqa: SIM118
    if key in kinds:
        return document.problem(loc, f"`{chosen}` and `{key}` exclude each other", _SECTIONS[section].clash_hint)
    owners = [name for name, model in kinds.items() if key in model_keys(model)]
    if owners:
        text = f"`{chosen}` has no `{key}`: that is a key of {_join_alternatives(owners)}"
        allowed = ", ".join(f"`{word}`" for word in model_keys(kinds[chosen]))
        return document.problem(loc, text, f"allowed here: {allowed}")
    return document.problem(loc, f"unknown key `{key}`", _key_hint(section, key, model_keys(kinds[chosen])))


def _key_hint(section: str, key: str, known: Sequence[str], otherwise: str = "allowed here") -> str:
    word = _SECTION_WORDS.get(section, {}).get(key)
    if word in known:
        return f"did you mean `{word}`?"
    return _OTHER_WORDS.get(key) or did_you_mean(key, known, otherwise)


def _no_kind(loc: KeyPath, document: Document) -> Iterator[Problem]:
    section = _SECTIONS[str(loc[0])]
    kinds = section.models
    _, item = document.find(loc)
    if not isinstance(item, MappingNode):
        yield _wrong_shape(loc, document, "a mapping", _mapping_hint(loc, document, f"for example {section.example}"))
        return
    known = {key for model in kinds.values() for key in model_keys(model)}
    strange = [key for key in item.keys() if key not in known]  # noqa: SIM118
    for key in strange:
        # Most likely it is meant for the key that is missing.
        close = _key_hint(str(loc[0]), key, [*kinds, *sorted(known - set(kinds))], "")
        hint = close if "`?" in close else _kind_hint(document, str(loc[0]), key, kinds)
        yield document.problem((*loc, key), f"unknown key `{key}`", hint)
    if not strange and loc not in document.incomplete:
        yield document.problem(loc, section.no_kind, f"add one of {', '.join(f'`{name}`' for name in kinds)}")
    try:
        section.common.model_validate(to_plain_data(item))
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if detail["type"] != "extra_forbidden" and not (strange and detail["type"] == "missing"):
                detail["loc"] = (*loc, *detail["loc"])
                yield from translate_error(detail, document)


def _kind_hint(document: Document, section: str, key: str, kinds: Iterable[str]) -> str:
    """Return the hint for an unknown key where the key of the item's kind is missing."""
    nodes = document.root.get("nodes")
    if section == "expect" and nodes is not None and isinstance(nodes.value, MappingNode) and nodes.value.get(key):
        return f"`{key}` is a group of nodes: write `node: {key}`, and a check such as `has: myfile.txt`"
    return f"the item needs one of {', '.join(f'`{name}`' for name in kinds)}"
