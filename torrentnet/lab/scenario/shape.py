"""Rules about keys that go together, judged on the file itself.

They need no valid values, so they are reported beside the errors of single values, not after those have been mended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torrentnet.lab.scenario.document import Document, Listing, Mapping
from torrentnet.lab.scenario.vocabulary import LATER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torrentnet.lab.errors import Problem
    from torrentnet.lab.scenario.document import Loc


def check_shape(document: Document) -> Iterator[Problem]:
    """What is wrong with the combination of keys in the timeline's and the expectations' items."""
    for loc, keys in _items(document, "timeline"):
        yield from _event(document, loc, keys)
    for loc, keys in _items(document, "expect"):
        yield from _expectation(document, loc, keys)


def _items(document: Document, section: str) -> Iterator[tuple[Loc, frozenset[str]]]:
    entry = document.root.get(section)
    if entry is None or not isinstance(entry.value, Listing):
        return
    for index, item in enumerate(entry.value.items):
        if isinstance(item, Mapping) and not any(key in LATER[section] for key in item.keys()):  # noqa: SIM118
            yield (section, index), frozenset(item.keys())


def _event(document: Document, loc: Loc, keys: frozenset[str]) -> Iterator[Problem]:
    if "pause" not in keys:
        return
    if {"for", "until"} <= keys:
        yield document.problem((*loc, "until"), "`for` and `until` exclude each other", "keep one of them")
    elif not keys & {"for", "until"}:
        yield document.problem(
            loc, "a pause needs an end", "add `for: 3s`, `until: 10s` or, to the end of the run, `for: rest`"
        )


def _expectation(document: Document, loc: Loc, keys: frozenset[str]) -> Iterator[Problem]:
    if {"within", "at"} <= keys:
        yield document.problem(
            (*loc, "at"), "`within` and `at` exclude each other", "`within`: by then; `at`: just then"
        )
    elif {"after", "at"} <= keys:
        yield document.problem(
            (*loc, "after"), "`after` goes with `within`, not with `at`", "`at` always counts from t = 0"
        )
    timed = bool(keys & {"at", "after"})
    if "forgets" in keys and not timed:
        yield document.problem(
            loc,
            "`forgets` needs `after` or `at`",
            "a peer that has not come yet is unknown too: say after which event, as `after: kill seeder-1`",
        )
    if "state" in keys and not timed and "within" not in keys:
        yield document.problem(
            loc, "`state` needs a time", "add `at: 10s`, or `within: 5s` with `after: kill seeder-1`"
        )
    if "console" in keys:
        if not keys & {"contains", "lacks"}:
            yield document.problem(loc, "nothing is expected of the answer", "add `contains:` or `lacks:`")
        elif "contains" not in keys and not timed:
            yield document.problem(
                loc,
                "`lacks` alone holds before anything has happened",
                "add `at: 10s`, or `after:` an event, or a text that it `contains`",
            )
