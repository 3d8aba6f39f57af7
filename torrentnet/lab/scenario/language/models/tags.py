"""Items that are known by one of their keys: ``kill`` makes an event a kill, ``share`` makes a node a seeder.

Each kind has a model of its own with its own keys, which the schema for editors knows too. A new verb is a new model
and one line in its union. The tag of a kind (``verb:kill``) appears in the places that Pydantic reports;
:mod:`~torrentnet.lab.scenario.language.messages` removes it.

Tested by tests/unit/lab/scenario/test_wrong.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import Discriminator

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def discriminate_by_key(prefix: str, keys: Iterable[str]) -> Discriminator:
    """Choose the kind by the first of these keys that the item has."""
    known = tuple(keys)

    def choose(item: Any) -> str | None:
        if not isinstance(item, dict):
            return None
        return next((prefix + key for key in item if key in known), None)

    return Discriminator(choose)
