"""``when:`` as people write it: ``leecher-1 has 50% of myfile.txt``, ``seeder-2 is up``, ``2s after kill seeder-1``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from torrentnet.lab.scenario.language.selectors import Selector, SelectorError, parse_selector
from torrentnet.lab.scenario.language.units import UnitError, parse_duration, parse_share, show_duration, show_share
from torrentnet.lab.scenario.plan import TriggerKind

FORMS = "`leecher-1 has 50% of myfile.txt`, `seeder-2 is up`, `leecher is seed`, `after kill seeder-1`"
STATES = {
    "up": TriggerKind.UP,
    "down": TriggerKind.DOWN,
    "seed": TriggerKind.SEED,
    "a seed": TriggerKind.SEED,
    "seeds": TriggerKind.SEED,
}
_AFTER = re.compile(r"(?:(?P<delay>\S+)\s+)?after\s+(?P<rest>.+)")
_HAS = re.compile(r"(?P<who>.+?)\s+(?:has|have)\s+(?:(?P<share>\S+)\s+of\s+)?(?P<file>.+)")
_IS = re.compile(r"(?P<who>.+?)\s+(?:is|are)\s+(?P<state>.+)")


@dataclass(frozen=True, slots=True)
class Condition:
    """What an event waits for, before it is known which nodes and events there are."""

    cause: TriggerKind
    delay: float = 0.0
    """Seconds."""
    who: Selector | None = None
    """None for AFTER."""
    file: str = ""
    share: float = 1.0
    event: str = ""
    """AFTER: the other event as it was written."""

    def __str__(self) -> str:
        if self.cause is TriggerKind.AFTER:
            text = f"after {self.event}"
        else:
            text = f"after {self._of_nodes()}" if self.delay else self._of_nodes()
        return f"{show_duration(self.delay)} {text}" if self.delay else text

    def _of_nodes(self) -> str:
        if self.cause is not TriggerKind.HAS:
            return f"{self.who} is {self.cause}"
        return f"{self.who} has {f'{show_share(self.share)} of ' if self.share < 1 else ''}{self.file}"


def parse_condition(text: str, verbs: frozenset[str]) -> Condition:
    """Read a condition; ``verbs`` tell an event (``after kill seeder-1``) from what nodes do.

    Raises:
        UnitError: it is none.
    """
    text = " ".join(text.split())
    match = _AFTER.fullmatch(text)
    if match is None:
        return _of_nodes(text, 0.0, verbs)
    delay = parse_duration(match["delay"]) if match["delay"] else 0.0
    rest = match["rest"]
    if rest.split(maxsplit=1)[0] not in verbs and (_HAS.fullmatch(rest) or _IS.fullmatch(rest)):
        return _of_nodes(rest, delay, verbs)
    return Condition(TriggerKind.AFTER, delay, event=rest)


def _of_nodes(text: str, delay: float, verbs: frozenset[str]) -> Condition:
    if has := _HAS.fullmatch(text):
        share = parse_share(has["share"]) if has["share"] else 1.0
        if share == 0:
            raise UnitError(f"`{text}` is true from the start", "say how much: `leecher-1 has 50% of myfile.txt`")
        return Condition(TriggerKind.HAS, delay, _who(has["who"]), has["file"], share)
    if found := _IS.fullmatch(text):
        cause = STATES.get(found["state"])
        if cause is None:
            raise UnitError(f"`{found['state']}` is no state to wait for", "it can be `up`, `down` or `seed`")
        return Condition(cause, delay, _who(found["who"]))
    if text and text.split(maxsplit=1)[0] in verbs:
        raise UnitError(f"`{text}` is an event, no condition", f"did you mean `after {text}`?")
    raise UnitError(f"`{text}` is no condition" if text else "the text is empty", f"for example {FORMS}")


def _who(text: str) -> Selector:
    names = [name for name in re.split(r",|\band\b", text.strip("[]")) if name.strip()]
    try:
        return parse_selector(names if len(names) != 1 else names[0])
    except SelectorError as error:
        raise UnitError(error.text, error.hint) from None
