"""From Pydantic's errors to sentences for the person who wrote the file.

Pydantic says which rule a value broke and where in the data; here that becomes a line and a column, a sentence in the
words of the language, and a hint.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from torrentnet.lab.scenario.document import Document, Listing, Loc, Mapping, Tree, plain
from torrentnet.lab.scenario.expectations import CHECKS, Expected
from torrentnet.lab.scenario.keyed import is_tag
from torrentnet.lab.scenario.model import FILES, Scenario
from torrentnet.lab.scenario.nodes import NODES, TrackerOptions
from torrentnet.lab.scenario.timeline import VERBS, Timed
from torrentnet.lab.scenario.types import WRONG, Part
from torrentnet.lab.scenario.vocabulary import LATER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Mapping as Dict

    from pydantic_core import ErrorDetails

    from torrentnet.lab.errors import Problem

KINDS: dict[str, Dict[str, type[Part]]] = {"files": FILES, "nodes": NODES, "timeline": VERBS, "expect": CHECKS}
"""Section to key to the kind of item that the key makes."""
_COMMON: dict[str, type[Part]] = {"files": Part, "nodes": Part, "timeline": Timed, "expect": Expected}
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
}
_MISSING = {
    "nodes": "a scenario needs at least `nodes: {tracker: {tracker: {}}}` and some peers",
    "at": "say when it happens: `at: 5s`",
    "node": "say who is meant: `node: leecher`",
}
_SECTION_SHAPE = {
    "files": "for example `files: {myfile.txt: {size: 8MiB}}`",
    "nodes": "a mapping of names: `seeder: {share: myfile.txt, count: 3}`",
    "timeline": "each item begins with `- `",
    "expect": "each item begins with `- `",
}


def place(loc: tuple[str | int, ...]) -> Loc:
    """A place as Pydantic reports it, without the tags that stand for nothing in the file."""
    return tuple(step for step in loc if not is_tag(step))


def translate(error: ErrorDetails, document: Document) -> Iterator[Problem]:
    """What a person has to know about one of Pydantic's errors; seldom more than one problem."""
    loc = place(error["loc"])
    kind = error["type"]
    if kind == WRONG:
        context: dict[str, Any] = error.get("ctx", {})
        if context["item"] is not None:
            loc = (*loc, context["item"])
        yield document.problem(loc, context["text"], context["hint"], at_value=True)
    elif kind == "missing":
        yield from _missing(loc, document)
    elif kind == "extra_forbidden":
        if not _explained_by_another(loc, document):
            yield _unknown_key(loc, document)
    elif kind in {"union_tag_not_found", "union_tag_invalid"}:
        yield from _no_kind(loc, document)
    elif kind == "list_type":
        _, tree = document.find(loc)
        yield document.problem(
            loc, f"expected a list, found {describe(tree)}", _SECTION_SHAPE.get(str(loc[-1]), ""), at_value=True
        )
    elif kind in {"dict_type", "model_type", "model_attributes_type"}:
        _, tree = document.find(loc)
        hint = "for the defaults write `{}`" if loc[-1:] == ("tracker",) else _SECTION_SHAPE.get(str(loc[-1]), "")
        yield document.problem(loc, f"expected a mapping, found {describe(tree)}", hint, at_value=True)
    else:
        yield document.problem(loc, error["msg"], at_value=True)


def describe(tree: Tree | None) -> str:
    """What stands in the file, in a few words."""
    if isinstance(tree, Mapping):
        return "a mapping"
    if isinstance(tree, Listing):
        return "a list"
    return "nothing" if tree is None or tree.text is None else f"`{tree.text[:40]}`"


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "allowed here") -> str:
    """``did you mean `pause`?``, or which words there are."""
    words = list(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"{otherwise}: " + ", ".join(f"`{name}`" for name in words)


def keys_of(model: type[BaseModel]) -> list[str]:
    """A model's keys as they are written in the file."""
    return [info.alias or name for name, info in model.model_fields.items()]


def not_supported_yet(section: str, word: str) -> tuple[str, str] | None:
    """Text and hint for a word that the language has and this version does not do; None for every other word."""
    purpose = LATER.get(section, {}).get(word)
    if purpose is None:
        return None
    return f"`{word}` is not supported yet", f"the word is kept for {purpose}; this version cannot do it"


def _missing(loc: Loc, document: Document) -> Iterator[Problem]:
    *parent, field = loc
    if tuple(parent) in document.dropped:
        return
    _, item = document.find(tuple(parent))
    if field == "at" and isinstance(item, Mapping) and any(key in LATER["timeline"] for key in item.keys()):  # noqa: SIM118
        return
    yield document.problem(tuple(parent), f"`{field}` is missing", _MISSING.get(str(field), ""))


def _explained_by_another(loc: Loc, document: Document) -> bool:
    """Whether the key belongs to a word of the same item that is not supported yet."""
    _, item = document.find(loc[:2])
    later = LATER.get(str(loc[0]), {})
    return isinstance(item, Mapping) and loc[-1] not in later and any(key in later for key in item.keys())  # noqa: SIM118


def _unknown_key(loc: Loc, document: Document) -> Problem:
    key = str(loc[-1])
    section = str(loc[0])
    if len(loc) == 1:
        later = not_supported_yet("scenario", key)
        text, hint = later or (f"unknown key `{key}`", did_you_mean(key, keys_of(Scenario)))
        return document.problem(loc, text, hint)
    if len(loc) > 3:
        return document.problem(loc, f"unknown key `{key}`", did_you_mean(key, keys_of(TrackerOptions)))
    kinds = KINDS[section]
    _, item = document.find(loc[:2])
    assert isinstance(item, Mapping)
    chosen = next(name for name in item.keys() if name in kinds)  # noqa: SIM118
    if key in kinds:
        text, hint = f"`{chosen}` and `{key}` exclude each other", _split_hint(section)
    elif later := not_supported_yet(section, key):
        text, hint = later
    else:
        owners = [name for name, model in kinds.items() if key in keys_of(model)]
        if owners:
            text = f"`{key}` goes with {' or '.join(f'`{owner}`' for owner in owners)}, not with `{chosen}`"
            hint = "allowed here: " + ", ".join(f"`{name}`" for name in keys_of(kinds[chosen]))
        else:
            text, hint = f"unknown key `{key}`", did_you_mean(key, keys_of(kinds[chosen]))
    return document.problem(loc, text, hint)


def _split_hint(section: str) -> str:
    return {
        "files": "a file has one of them",
        "nodes": "make two groups of them",
        "timeline": "write two items with the same time",
        "expect": "write two items",
    }[section]


def _no_kind(loc: Loc, document: Document) -> Iterator[Problem]:
    section = str(loc[0])
    kinds = KINDS[section]
    _, item = document.find(loc)
    names = ", ".join(f"`{name}`" for name in kinds)
    if not isinstance(item, Mapping):
        yield document.problem(
            loc, f"expected a mapping, found {describe(item)}", f"for example {_ITEM[section]}", at_value=True
        )
        return
    known = {key for model in kinds.values() for key in keys_of(model)}
    explained = loc in document.dropped
    for key in item.keys():  # noqa: SIM118
        if later := not_supported_yet(section, key):
            explained = True
            yield document.problem((*loc, key), *later)
        elif key not in known and not any(other in LATER.get(section, {}) for other in item.keys()):  # noqa: SIM118
            hint = did_you_mean(key, [*kinds, *sorted(known - set(kinds))])
            explained = explained or any(f"`{kind}`?" in hint for kind in kinds)
            yield document.problem((*loc, key), f"unknown key `{key}`", hint)
    if not explained:
        yield document.problem(loc, _NO_KIND[section], f"one of {names}")
    yield from _common_errors(loc, item, document)


def _common_errors(loc: Loc, item: Mapping, document: Document) -> Iterator[Problem]:
    try:
        _COMMON[str(loc[0])].model_validate(plain(item))
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if detail["type"] != "extra_forbidden":
                detail["loc"] = (*loc, *detail["loc"])
                yield from translate(detail, document)
