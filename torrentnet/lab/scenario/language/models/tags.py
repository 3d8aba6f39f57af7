"""Items that are known by one of their keys: ``kill`` makes an event a kill, ``share`` makes a node a seeder.

Each kind is a model of its own, so that it has its own further keys and the editor's schema knows them; a new verb
is a new model and one line in its union. The tag of a kind (``verb:kill``) appears in the places that Pydantic
reports and is taken out again by :mod:`~torrentnet.lab.scenario.language.messages`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Discriminator

if TYPE_CHECKING:
    from collections.abc import Iterable

TAGS = ("content:", "role:", "verb:", "check:", "as:")
"""What begins a tag; no key of the language holds a colon."""


def is_tag(step: str | int) -> bool:
    """Whether a step of a reported place is a tag and stands for nothing in the file."""
    return isinstance(step, str) and step.startswith(TAGS)


def discriminate_by_shape(prefix: str = "as:") -> Discriminator:
    """Choose between a mapping and whatever else may stand in its place: the tags are ``map`` and ``other``."""

    def choose(item: Any) -> str:
        return prefix + ("map" if isinstance(item, dict) else "other")

    return Discriminator(choose)


def discriminate_by_key(prefix: str, keys: Iterable[str]) -> Discriminator:
    """Choose the kind by the first of the keys that the item has."""
    known = tuple(keys)

    def choose(item: Any) -> str | None:
        if not isinstance(item, dict):
            return None
        return next((prefix + key for key in item if key in known), None)

    return Discriminator(choose)
