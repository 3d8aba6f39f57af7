"""What an event with ``when`` waits for.

A trigger fires once, the first time that its condition is true. Conditions are evaluated from t = 0 on, so that one
that is true from the start fires at t = 0.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A condition that is known to be true only during the run."""

    text: str
    """As the scenario writes it: ``leecher-1 has 50% of myfile.txt``, ``2s after kill seeder-1``."""
    delay: float = 0.0
    """Seconds from the moment at which the condition became true to the event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterTrigger(Trigger):
    """Another event has been applied; the delay counts from the moment at which it began."""

    event: int
    """The other event's index. It may have a trigger of its own; there are no cycles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTrigger(Trigger):
    """All of some nodes fulfil a condition at the same moment."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HasTrigger(NodeTrigger):
    """Each node has at least a share of the pieces of the file that it shares or gets, verified."""

    file: str
    share: float = 1.0
    """More than 0, at most 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpTrigger(NodeTrigger):
    """Each node runs, and has said so since its last start: ``listening`` (tracker, get), ``published`` (share)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DownTrigger(NodeTrigger):
    """Each node's program has been started and has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedTrigger(NodeTrigger):
    """Each node runs and reports that it is a seed."""
