"""The plan as a document: ``plan.json`` of a run's record.

Times are seconds after t = 0. What lasts to the end of the run, and a limit that is removed, are null.
"""

from __future__ import annotations

import math
import re
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.override_rows import pairs_row, qualities_row
from torrentnet.lab.scenario.plan.events import (
    AfterTrigger,
    CommandPlan,
    EventPlan,
    HealPlan,
    LastingPlan,
    NetworkFaultPlan,
    NodeTrigger,
    Trigger,
)
from torrentnet.lab.scenario.plan.expectations import Always, At, ExpectationPlan
from torrentnet.lab.scenario.plan.plan import NodeProgram, Role
from torrentnet.runtime.units import parse_size
from torrentnet.wire.info import choose_piece_length, piece_count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torrentnet.lab.scenario.plan.plan import FilePlan, NodePlan, Plan
    from torrentnet.lab.scenario.qualities import LinkOverride

FILE: Final = "plan.json"
SCHEMA: Final = 1
DEFAULT_STRATEGY: Final = "single"
"""Of our own peer program, where the scenario names none."""
_WORD_START: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_COMMON: Final = {field.name for field in fields(ExpectationPlan)}


def plan_document(plan: Plan, sizes: Mapping[str, int]) -> dict[str, object]:
    """Return a plan as JSON; ``sizes`` has the bytes of each file."""
    return {
        "schema": SCHEMA,
        "scenario": plan.name,
        "about": plan.about,
        "source": str(plan.source),
        "seed": plan.seed,
        "parameters": dict(plan.parameters),
        "time_limit": plan.time_limit,
        "judged": plan.judged,
        "files": [_file(plan, file, sizes.get(file.name, 0)) for file in plan.files],
        "nodes": [_node(node) for node in plan.nodes],
        "links": [_override(link) for link in plan.links],
        "timeline": [_event(event) for event in plan.events],
        "expectations": [_expectation(plan, expectation) for expectation in plan.expectations],
    }


def _file(plan: Plan, file: FilePlan, size: int) -> dict[str, object]:
    length = _piece_length(plan, file.name) or choose_piece_length(size)
    return {
        "name": file.name,
        "size": size,
        "piece_length": length,
        "pieces": piece_count(size, length),
        "content": "text" if file.text else "random" if isinstance(file.content, int) else str(file.content),
    }


def _piece_length(plan: Plan, file: str) -> int | None:
    """Return the piece length that the scenario sets for a file, if any."""
    for node in plan.nodes:
        text = _settings(node).get("piece_length")
        if node.role is Role.SHARE and node.file == file and isinstance(text, str):
            return parse_size(text)
    return next((torrent.piece_length for torrent in plan.torrents if torrent.file == file), None)


def _settings(node: NodePlan) -> dict[str, object]:
    """Return the options of our own program by name; ``True`` without a value."""
    found: dict[str, object] = {}
    name = ""
    for word in node.arguments if node.program is NodeProgram.OURS else ():
        if word.startswith("--"):
            name = word.removeprefix("--").replace("-", "_")
            found[name] = True
        elif name:
            found[name] = word
    return found


def _node(node: NodePlan) -> dict[str, object]:
    settings = _settings(node)
    strategy = settings.get("strategy", DEFAULT_STRATEGY)
    own_get = node.role is Role.GET and node.program is NodeProgram.OURS
    return {
        "name": node.name,
        "group": node.group,
        "role": str(node.role),
        "file": node.file,
        "start": node.start,
        "program": str(node.program),
        "strategy": strategy if own_get else None,
        "settings": settings,
        "arguments": list(node.arguments),
        "limits": _plain(node.limits),
        "torrents": list(node.torrents),
        "foreign": _plain(node.foreign),
    }


def _override(override: LinkOverride) -> dict[str, object]:
    return {
        "text": override.text,
        "pairs": pairs_row(override.pairs),
        "qualities": qualities_row(override.qualities),
    }


def _event(event: EventPlan) -> dict[str, object]:
    override = event.override if isinstance(event, NetworkFaultPlan) else None
    return {
        "event": event.index,
        "kind": event.verb,
        "name": event.name or None,
        "text": event.text,
        "nodes": list(event.nodes),
        "pairs": pairs_row(override.pairs) if override else [],
        "qualities": qualities_row(override.qualities) if override else {},
        "at": event.at,
        "when": _trigger(event.when) if event.when else None,
        "lasts": event.lasts if isinstance(event, LastingPlan) else None,
        "until": event.until if isinstance(event, LastingPlan) else None,
        "ends": list(event.ends) if isinstance(event, HealPlan) else [],
        "command": event.command if isinstance(event, CommandPlan) else None,
        "source_of": event.source_of or None,
        "where": event.where,
    }


def _trigger(trigger: Trigger) -> dict[str, object]:
    return {
        "text": trigger.text,
        "delay": trigger.delay,
        "event": trigger.event if isinstance(trigger, AfterTrigger) else None,
        "nodes": list(trigger.nodes) if isinstance(trigger, NodeTrigger) else [],
    }


def _expectation(plan: Plan, expectation: ExpectationPlan) -> dict[str, object]:
    values = [field.name for field in fields(expectation) if field.name not in _COMMON]
    kind = _WORD_START.sub("_", type(expectation).__name__.removesuffix("CheckPlan")).lower()
    return {
        "kind": kind,
        "text": expectation.text,
        "nodes": list(expectation.nodes),
        "level": str(expectation.severity),
        "where": expectation.where,
        "timing": type(expectation.timing).__name__.lower(),
        "after": expectation.after,
        "deadline": _deadline(plan, expectation),
        "seconds": _seconds(expectation),
        "values": {name: _plain(getattr(expectation, name)) for name in values},
    }


def _deadline(plan: Plan, expectation: ExpectationPlan) -> float | None:
    """Return when an expectation is decided at the latest.

    None where that depends on an event whose time is not planned.
    """
    timing = expectation.timing
    if isinstance(timing, At):
        return timing.time
    if timing.seconds is None or timing.seconds == math.inf:
        return plan.time_limit
    if timing.after is None:
        return timing.seconds + (timing.start if isinstance(timing, Always) else 0.0)
    event = next(event for event in plan.events if event.index == timing.after)
    return None if event.when is not None else round(event.at + timing.seconds, 6)


def _seconds(expectation: ExpectationPlan) -> float | None:
    """Return the seconds from the event ``after``, or from t = 0.

    None where they last to the end of the run.
    """
    timing = expectation.timing
    if isinstance(timing, At):
        return timing.time
    return None if timing.seconds == math.inf else timing.seconds


def _plain(value: object) -> object:
    """Return a value of the plan as JSON."""
    if isinstance(value, Enum):
        return str(value)
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
