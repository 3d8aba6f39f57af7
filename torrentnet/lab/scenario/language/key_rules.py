"""Rules about keys that go together, judged on the file itself.

They need no valid values, so they are reported beside the errors of single values, not after those have been mended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.lab.scenario.language.document import Document, MappingNode, SequenceNode
from torrentnet.lab.scenario.language.models.links import DIRECTION_KEYS, QUALITY_KEYS
from torrentnet.lab.scenario.language.models.timeline import EVENT_MODELS, LASTING_KEYS, TIME_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torrentnet.lab.errors import Problem
    from torrentnet.lab.scenario.language.document import KeyPath

_NOUN = {"pause": "a pause", "partition": "a partition", "isolate": "an isolation", "impair": "an impairment"}
_MOMENTS = ("becomes", "forgets", "exit")
"""Checks of something that happens, once; nothing is so all the time."""


def check_key_rules(document: Document) -> Iterator[Problem]:
    """What is wrong with the combination of keys in the items of the lists."""
    for loc, item in _items(document, "links"):
        yield from _way(document, loc, item, "links")
    for loc, item in _items(document, "timeline"):
        yield from _when(document, loc, item)
        yield from _end(document, loc, item)
        for key in ("impair", "isolate", "partition"):
            entry = item.get(key)
            if entry is not None and isinstance(entry.value, MappingNode):
                yield from _way(document, (*loc, key), entry.value, key)
    for loc, item in _items(document, "expect"):
        yield from _expectation(document, loc, item)


def _items(document: Document, section: str) -> Iterator[tuple[KeyPath, MappingNode]]:
    entry = document.root.get(section)
    if entry is None or not isinstance(entry.value, SequenceNode):
        return
    for index, item in enumerate(entry.value.items):
        if isinstance(item, MappingNode):
            yield (section, index), item


def _verb(item: MappingNode) -> str | None:
    return next((entry.key for entry in item.entries if entry.key in EVENT_MODELS), None)


# ── timeline ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _when(document: Document, loc: KeyPath, item: MappingNode) -> Iterator[Problem]:
    keys = item.keys()
    times = [key for key in keys if key in TIME_KEYS]
    if not times and loc not in document.dropped:
        yield document.problem(
            loc, "it is not said when it happens", "add `at: 5s`, `when: leecher is seed` or `every: 10s`"
        )
    for other in times[1:]:
        yield document.problem((*loc, other), f"`{times[0]}` and `{other}` exclude each other", "keep one of them")
    if "from" in keys and "every" not in keys:
        verb = _verb(item)
        direction = f"; a direction stands inside: `{verb}: {{from: seeder}}`" if verb in {"isolate", "impair"} else ""
        yield document.problem((*loc, "from"), "`from` goes with `every`", f"`at` says when it happens{direction}")


def _end(document: Document, loc: KeyPath, item: MappingNode) -> Iterator[Problem]:
    keys, verb = item.keys(), _verb(item)
    if verb is None:
        return
    if verb not in LASTING_KEYS:
        if "until" in keys and "every" not in keys:
            yield document.problem(
                (*loc, "until"),
                f"`until` goes with `every`, or with an event that lasts; `{verb}` does not",
                "`start` brings back who was ended" if verb in {"kill", "stop"} else "",
            )
        return
    noun = _NOUN[verb]
    if "every" in keys:
        if "for" not in keys:
            yield document.problem(
                loc, f"{noun} that is repeated needs `for`", "`until` is the end of the repetitions: add `for: 3s`"
            )
    elif "for" in keys and "until" in keys:
        yield document.problem((*loc, "until"), "`for` and `until` exclude each other", "keep one of them")
    elif "for" not in keys and "until" not in keys:
        yield document.problem(
            loc, f"{noun} needs an end", "add `for: 3s`, `until: 10s` or, to the end of the run, `for: rest`"
        )


# ── ways through the network ─────────────────────────────────────────────────────────────────────────────────────


def _way(document: Document, loc: KeyPath, way: MappingNode, what: str) -> Iterator[Problem]:
    keys = way.keys()
    if "between" in keys and ("from" in keys or "to" in keys):
        other = next(key for key in keys if key in {"from", "to"})
        yield document.problem(
            (*loc, other), f"`between` and `{other}` exclude each other", "`between` is both directions"
        )
    elif what == "partition" and not {"from", "to"} <= set(keys):
        yield document.problem(
            loc,
            "a partition in one direction needs `from` and `to`",
            "both directions are `[[tracker, seeder], [leecher]]`; `isolate: {from: seeder}` cuts off from everybody",
        )
    elif not any(key in DIRECTION_KEYS for key in keys) and loc not in document.dropped:
        yield document.problem(
            loc, "it is not said which ways are meant", "add `between: all`, `from: seeder`, or `to: leecher`"
        )
    if what in {"links", "impair"}:
        unknown = [key for key in keys if key not in DIRECTION_KEYS and key not in QUALITY_KEYS]
        if not unknown and not any(key in QUALITY_KEYS for key in keys) and loc not in document.dropped:
            names = ", ".join(f"`{name}`" for name in QUALITY_KEYS)
            yield document.problem(loc, "nothing is asked of these ways", f"add one of {names}")


# ── expectations ─────────────────────────────────────────────────────────────────────────────────────────────────


def _expectation(document: Document, loc: KeyPath, item: MappingNode) -> Iterator[Problem]:
    keys = frozenset(item.keys())
    yield from _time_words(document, loc, keys)
    timed = bool(keys & {"at", "after", "always"})
    if "forgets" in keys and not timed:
        yield document.problem(
            loc,
            "`forgets` needs `after` or `at`",
            "a peer that has not come yet is unknown too: say after which event, as `after: kill seeder-1`",
        )
    if "state" in keys and not timed and "within" not in keys:
        yield document.problem(
            loc,
            "`state` needs a time",
            "add `at: 10s`, `always: rest`, or `within: 5s` with `after: kill seeder-1`",
        )
    if "console" in keys:
        if not keys & {"contains", "lacks"}:
            yield document.problem(loc, "nothing is expected of the answer", "add `contains:` or `lacks:`")
        elif "contains" not in keys and not timed:
            yield document.problem(
                loc,
                "`lacks` alone holds before anything has happened",
                "add `at: 10s`, `always: rest`, or `after:` an event, or a text that it `contains`",
            )
    traffic = item.get("bytes")
    if traffic is not None and isinstance(traffic.value, MappingNode) and not traffic.value.entries:
        yield document.problem(
            (*loc, "bytes"), "nothing is expected of the bytes", "add `sent:` or `received:`, as `at most 10MiB`"
        )


def _time_words(document: Document, loc: KeyPath, keys: frozenset[str]) -> Iterator[Problem]:
    if {"within", "at"} <= keys:
        yield document.problem(
            (*loc, "at"), "`within` and `at` exclude each other", "`within`: by then; `at`: just then"
        )
    elif {"after", "at"} <= keys:
        yield document.problem(
            (*loc, "after"), "`after` goes with `within` and `always`, not with `at`", "`at` always counts from t = 0"
        )
    if {"within", "always"} <= keys:
        yield document.problem(
            (*loc, "always"),
            "`within` and `always` exclude each other",
            "`always: 5s` begins at t = 0, with `at: 10s` then, with `after: ...` at that event",
        )
    elif "always" in keys:
        for key in _MOMENTS:
            if key in keys:
                yield document.problem(
                    (*loc, "always"), f"`always` does not go with `{key}`: that happens once", "write `within`"
                )
