"""Events of the timeline, as other parts of a scenario refer to them.

Tested by tests/unit/lab/scenario/resolve/test_timeline.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.models.timeline import AnyEventModel
    from torrentnet.lab.scenario.qualities import LinkOverride


@dataclass(frozen=True, slots=True)
class EventRef:
    """An event, or one repetition of it, before references between events are resolved."""

    index: int
    """In the plan."""
    position: int
    """In the file's timeline."""
    model: AnyEventModel
    verb: str
    at: float | None
    """Seconds after t = 0; None where it waits for a condition."""
    lasts: float | None
    """Seconds; None where it does not last, lasts for the rest of the run, or to a fixed time after a condition."""
    nodes: tuple[str, ...]
    """The nodes that it affects; of a heal they are not known yet."""
    override: LinkOverride | None
    """What a network fault does to links."""
    text: str
    """For reports, with the nodes that were chosen at random."""
    names: tuple[str, ...]
    """The texts that mean this event, from the shortest to the most exact; the last one is unique."""

    @property
    def loc(self) -> KeyPath:
        """The event's place in the file."""
        return ("timeline", self.position)

    def is_called(self, text: str) -> bool:
        """Return whether ``text`` means this event."""
        return normalize_reference(text) in {normalize_reference(name) for name in self.names}


def normalize_reference(text: str) -> str:
    """Return a text as it is compared: ``kill [a,  b]`` is ``kill a, b``, ``impair {to: a}`` is ``impair to a``."""
    text = re.sub(r"[\[\]{}]", " ", text).replace("|", ",")
    text = re.sub(r":(?=\s)", " ", text)
    return re.sub(r"[\s,]*,[\s,]*", ", ", " ".join(text.split()))
