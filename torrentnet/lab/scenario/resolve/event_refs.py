"""Events as the rest of a scenario refers to them: by what is written in the timeline, or by a name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.lab.scenario.language.messages import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.plan import EventPlan
    from torrentnet.lab.scenario.resolve.context import ResolveContext


@dataclass(frozen=True, slots=True)
class EventRef:
    """An event, and the texts that mean it."""

    event: EventPlan
    texts: tuple[str, ...]
    """From the shortest to the most exact; the last one is unique."""
    position: int
    """In the file's timeline."""

    @property
    def exact(self) -> str:
        """The text that means this event alone."""
        return self.texts[-1]

    def is_called(self, text: str) -> bool:
        """Whether it is meant by ``text``."""
        return normalize_reference(text) in {normalize_reference(own) for own in self.texts}


def normalize_reference(text: str) -> str:
    """A text as it is compared: ``kill [a,  b]`` is ``kill a, b``, ``impair {to: a}`` is ``impair to a``."""
    text = re.sub(r"[\[\]{}]", " ", text).replace("|", ",")
    text = re.sub(r":(?=\s)", " ", text)
    return re.sub(r"[\s,]*,[\s,]*", ", ", " ".join(text.split()))


def find_event(context: ResolveContext, loc: KeyPath, text: str, events: Sequence[EventRef]) -> EventPlan | None:
    """The one event that ``after TEXT`` means; None, with the problem recorded, where that cannot be said."""
    found = [said for said in events if said.is_called(text)]
    if len(found) == 1:
        return found[0].event
    if found:
        names = " or ".join(f"`after: {said.exact}`" for said in found[:3])
        context.note(loc, f"`{text}` happens {len(found)} times", f"write {names}")
    elif not any(aside[0] == "timeline" for aside in context.draft.aside):
        texts = list(dict.fromkeys(said.texts[0] for said in events))
        hint = did_you_mean(text, texts, "there are") if texts else "there is no timeline"
        context.note(loc, f"no event of the timeline is `{text}`", hint)
    return None
