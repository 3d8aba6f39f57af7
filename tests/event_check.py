"""Hold an event line against the table of events, wherever a test has one."""

from __future__ import annotations

from torrentnet.runtime.event_table import EVENTS


def check_event(name: str, keys: set[str] | frozenset[str], emitter: str | None = None) -> str:
    """Return what is wrong with an event of this name and these keys.

    The text is empty when the event agrees with the table of events.

    ``emitter`` is the program that wrote it; None stands for any of them.
    """
    spec = EVENTS.get(name)
    if spec is None:
        return f"{name}: not in the table of events"
    if emitter is not None and emitter not in spec.emitters:
        return f"{name}: not an event of the {emitter}"
    unknown = sorted(keys - spec.field_keys(emitter))
    return f"{name}: no field {', '.join(unknown)}" if unknown else ""
