"""The answers of a foreign tracker, as its observer has sighted them on the wire.

Nobody knows the program's messages. What can be seen is which nodes' addresses a datagram contains, in text or packed,
and whether it contains the name of the file.

Tested by tests/unit/lab/run/facts/test_tracker_answers.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torrentnet.runtime.events import Event

ANSWER_DELAY: Final = 1.0
"""Seconds between a request and a datagram that is taken for its answer."""
WINDOW: Final = 5.0
"""Seconds before the newest answer in which answers tell how many peers a tracker knows."""


@dataclass(frozen=True, slots=True)
class TrackerAnswer:
    """A datagram from a tracker to a peer."""

    time: float
    """Seconds since the epoch."""
    asker: str
    """The node that receives it."""
    listed: frozenset[str]
    """The other nodes whose addresses are in it."""
    asked: bool
    """Whether it answers the first datagram with the file's name that the peer has ever sent.

    Only such an answer without an address is an empty list: later ones may confirm what the peer has reported.
    """


def tracker_answers(tracker: str, sighted: Iterable[Event], since: float = 0.0) -> list[TrackerAnswer]:
    """Return a tracker's answers to peers.

    They list peers, or nobody although they were asked for a file.
    ``sighted`` are the events of all nodes: only a peer's observer knows the file's name.
    """
    answers = []
    requests: dict[str, float] = {}
    have_asked: set[str] = set()
    for event in sorted(sighted, key=lambda event: event.time):
        get = event.fields.get
        asker = get("to", "")
        if event.node != tracker:
            if get("direction") == "out" and get("file") == "true" and asker.partition(":")[0] == tracker:
                if event.node not in have_asked:
                    requests[get("from", "")] = event.time
                have_asked.add(event.node)
            continue
        if get("direction") != "out":
            continue
        asked = abs(event.time - requests.pop(asker, float("-inf"))) <= ANSWER_DELAY
        name = asker.partition(":")[0]
        listed = frozenset(get("nodes", "").split(",")) - {"", name, tracker}
        if event.time >= since and (listed or asked):
            answers.append(TrackerAnswer(event.time, name, listed, asked))
    return answers


def most_listed(answers: list[TrackerAnswer]) -> frozenset[str]:
    """Return the peers of the answer that lists most of them, of the newest ones."""
    recent = [answer.listed for answer in answers if answer.time >= answers[-1].time - WINDOW]
    return max(recent, key=len, default=frozenset())
