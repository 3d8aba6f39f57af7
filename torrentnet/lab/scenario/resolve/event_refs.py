"""Events of the timeline, as other parts of a scenario refer to them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.runtime.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.models.timeline import AnyEventModel
    from torrentnet.lab.scenario.qualities import LinkOverride
    from torrentnet.lab.scenario.resolve.context import ResolveContext


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


def find_event(context: ResolveContext, loc: KeyPath, text: str, refs: Sequence[EventRef]) -> int | None:
    """Return the index of the one event that ``after TEXT`` means, or record a problem and return None."""
    found = [ref for ref in refs if ref.is_called(text)]
    if len(found) == 1:
        return found[0].index
    if found:
        names = " or ".join(f"`after: {ref.names[-1]}`" for ref in found[:3])
        context.note(loc, f"`{text}` happens {len(found)} times", f"write {names}")
    elif not any(aside[0] == "timeline" for aside in context.draft.aside):
        texts = list(dict.fromkeys(ref.names[0] for ref in refs))
        hint = did_you_mean(text, texts, "there are") if texts else "there is no timeline"
        context.note(loc, f"no event of the timeline is `{text}`", hint)
    return None
