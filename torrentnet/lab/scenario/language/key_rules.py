"""Rules for keys that belong together, checked on the document itself.

They need no valid values, so that they are reported together with the errors of single values.

Tested by tests/unit/lab/scenario/test_wrong.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.language.document import Document, MappingNode, SequenceNode
from torrentnet.lab.scenario.language.models.links import DIRECTION_KEYS, QUALITY_KEYS
from torrentnet.lab.scenario.language.models.timeline import EVENT_MODELS, LASTING_KEYS, TIME_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torrentnet.lab.errors import Problem
    from torrentnet.lab.scenario.language.document import KeyPath

_NOUNS: Final = {"pause": "a pause", "partition": "a partition", "isolate": "an isolation", "impair": "an impairment"}
_MOMENTARY: Final = ("becomes", "forgets", "exit")
"""Checks of something that happens once, so that it cannot hold all the time."""


def check_key_rules(document: Document) -> Iterator[Problem]:
    """Yield what is wrong with the combinations of keys in the items of the lists."""
    for loc, item in _items(document, "links"):
        yield from _check_direction(document, loc, item, "links")
    for loc, item in _items(document, "timeline"):
        yield from _check_time(document, loc, item)
        yield from _check_end(document, loc, item)
        for key in ("impair", "isolate", "partition"):
            entry = item.get(key)
            if entry is not None and isinstance(entry.value, MappingNode):
                yield from _check_direction(document, (*loc, key), entry.value, key)
    for loc, item in _items(document, "expect"):
        yield from _check_expectation(document, loc, item)


def _items(document: Document, section: str) -> Iterator[tuple[KeyPath, MappingNode]]:
    entry = document.root.get(section)
    if entry is None or not isinstance(entry.value, SequenceNode):
        return
    for index, item in enumerate(entry.value.items):
        if isinstance(item, MappingNode):
            yield (section, index), item


def _verb(item: MappingNode) -> str | None:
    return next((key for key in item.keys() if key in EVENT_MODELS), None)  # noqa: SIM118


def _check_time(document: Document, loc: KeyPath, item: MappingNode) -> Iterator[Problem]:
    keys = item.keys()
    times = [key for key in keys if key in TIME_KEYS]
    if not times and loc not in document.incomplete:
        yield document.problem(loc, "the event has no time", "add `at: 5s`, `when: leecher is seed` or `every: 10s`")
    for other in times[1:]:
        yield document.problem((*loc, other), f"`{times[0]}` and `{other}` exclude each other", "keep one of them")
    if "from" in keys and "every" not in keys:
        verb = _verb(item)
        direction = f"; a direction goes inside: `{verb}: {{from: seeder}}`" if verb in {"isolate", "impair"} else ""
        yield document.problem((*loc, "from"), "`from` needs `every`", f"`at` says when it happens{direction}")


def _check_end(document: Document, loc: KeyPath, item: MappingNode) -> Iterator[Problem]:
    keys, verb = item.keys(), _verb(item)
    if verb is None:
        return
    if verb not in LASTING_KEYS:
        if "until" in keys and "every" not in keys:
            yield document.problem(
                (*loc, "until"),
                f"`until` needs `every`, or an event that lasts; `{verb}` does not last",
                "`start` starts the node again" if verb in {"kill", "stop"} else "",
            )
    elif "every" in keys:
        if "for" not in keys:
            yield document.problem(
                loc,
                f"{_NOUNS[verb]} that is repeated needs `for`",
                "add `for: 3s`; `until` is the end of the repetitions",
            )
    elif "for" in keys and "until" in keys:
        yield document.problem((*loc, "until"), "`for` and `until` exclude each other", "keep one of them")
    elif "for" not in keys and "until" not in keys:
        yield document.problem(
            loc, f"{_NOUNS[verb]} needs an end", "add `for: 3s`, `until: 10s`, or `for: rest` for the rest of the run"
        )


def _check_direction(document: Document, loc: KeyPath, item: MappingNode, owner: str) -> Iterator[Problem]:
    keys = item.keys()
    if "between" in keys and ("from" in keys or "to" in keys):
        other = next(key for key in keys if key in {"from", "to"})
        yield document.problem(
            (*loc, other), f"`between` and `{other}` exclude each other", "`between` is both directions"
        )
    elif owner == "partition" and not {"from", "to"} <= set(keys):
        yield document.problem(
            loc,
            "a partition in one direction needs `from` and `to`",
            "for both directions write `[[tracker, seeder], [leecher]]`; `isolate: {from: seeder}` cuts nodes off from"
            " all others",
        )
    elif not any(key in DIRECTION_KEYS for key in keys) and loc not in document.incomplete:
        yield document.problem(loc, "the direction is missing", "add `between: all`, `from: seeder` or `to: leecher`")
    if owner in {"links", "impair"} and not set(keys) - set(DIRECTION_KEYS) and loc not in document.incomplete:
        names = ", ".join(f"`{name}`" for name in QUALITY_KEYS)
        yield document.problem(loc, "no quality is set", f"add one of {names}")


def _check_expectation(document: Document, loc: KeyPath, item: MappingNode) -> Iterator[Problem]:
    keys = frozenset(item.keys())
    yield from _check_time_words(document, loc, keys)
    timed = bool(keys & {"at", "after", "always"})
    if "forgets" in keys and not timed:
        yield document.problem(
            loc,
            "`forgets` needs `after` or `at`",
            "a peer that has not joined yet is unknown too: add an event, as `after: kill seeder-1`",
        )
    if "state" in keys and not timed and "within" not in keys:
        yield document.problem(
            loc, "`state` needs a time", "add `at: 10s`, `always: rest`, or `within: 5s` with `after: kill seeder-1`"
        )
    if "console" in keys:
        if not keys & {"contains", "lacks", "empty"}:
            hint = "add `contains:`, `lacks:` or `empty: false`"
            yield document.problem(loc, "nothing is expected of the output", hint)
        elif keys & {"contains", "lacks", "empty"} == {"lacks"} and not timed:
            yield document.problem(
                loc,
                "`lacks` alone holds before anything has happened",
                "add `at: 10s`, `always: rest`, `after:` with an event, or a text that the output `contains`",
            )
    pairs = item.get("pairs")
    if pairs is not None and isinstance(pairs.value, MappingNode) and pairs.value.keys() == ("with",):
        hint = "add `received:`, `sent:` or `count:`, as `received: at least 1MiB`"
        yield document.problem((*loc, "pairs"), "nothing is expected of the pairs", hint)
    traffic = item.get("bytes")
    if traffic is not None and isinstance(traffic.value, MappingNode) and not traffic.value.entries:
        yield document.problem(
            (*loc, "bytes"), "nothing is expected of the bytes", "add `sent:` or `received:`, as `at most 10MiB`"
        )


def _check_time_words(document: Document, loc: KeyPath, keys: frozenset[str]) -> Iterator[Problem]:
    if {"within", "at"} <= keys:
        yield document.problem(
            (*loc, "at"),
            "`within` and `at` exclude each other",
            "`within` is any time until then; `at` is that moment only",
        )
    elif {"after", "at"} <= keys:
        yield document.problem(
            (*loc, "after"), "`after` needs `within` or `always`, not `at`", "`at` always counts from t = 0"
        )
    if {"within", "always"} <= keys:
        yield document.problem(
            (*loc, "always"),
            "`within` and `always` exclude each other",
            "`always: 5s` begins at t = 0; with `at: 10s` it begins then, with `after: ...` at that event",
        )
    elif "always" in keys:
        for key in _MOMENTARY:
            if key in keys:
                yield document.problem(
                    (*loc, "always"), f"`{key}` happens once, so that it cannot hold `always`", "write `within`"
                )
