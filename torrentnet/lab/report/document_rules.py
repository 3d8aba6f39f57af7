"""The network rules that the faults of a document set, as ``explain`` shows them.

A record has what a fault changes, and not the commands; these are rendered again from both, as the lab does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.network import render
from torrentnet.lab.network.desired_state import NetworkState
from torrentnet.lab.network.impairment import IMPAIRMENTS, CapabilitySplit
from torrentnet.lab.network.node_settings import node_settings
from torrentnet.lab.scenario.override_rows import parse_override

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torrentnet.lab.network.node_settings import NodeSettings
    from torrentnet.lab.report.record_values import Document
    from torrentnet.lab.scenario.qualities import LinkOverride

MAX_RULES: Final = 60
"""Rules of one fault."""
MAX_FAULTS: Final = 40
MAX_PAIRS: Final = 5_000
"""Links of a fault whose rules are rendered."""
_SPLIT: Final = CapabilitySplit(netem=frozenset(IMPAIRMENTS))
_RULE_STARTS: Final = ("-A ", "class ", "qdisc ", "filter ")


def fault_rules(document: Document) -> list[list[Any]]:
    """Return the rules of a document: the fault's number, the node, a line of text."""
    nodes = document["nodes"]
    addresses = {str(node["name"]): node["address"] for node in nodes}
    if len(addresses) < len(nodes) or not all(addresses.values()):
        return []
    overrides = {fault["id"]: one for fault in document["faults"] if (one := _override(fault, list(addresses)))}
    links = [one for link in document["links"] if (one := _override(link, list(addresses)))]
    found: list[list[Any]] = []
    in_force: dict[int, LinkOverride] = {}
    before = _settings(links, addresses)
    changes = [(fault["began"], 1, fault) for fault in document["faults"]]
    changes += [(fault["ended"], 0, fault) for fault in document["faults"] if fault["ended"] is not None]
    shown = 0
    for _, begins, fault in sorted(changes, key=lambda change: change[:2]):
        number = fault["id"]
        if number not in overrides or fault["error"]:
            continue
        if begins:
            in_force[number] = overrides[number]
        else:
            in_force.pop(number, None)
        if len(overrides[number].pairs) > MAX_PAIRS or shown >= MAX_FAULTS:
            if begins:
                found.append([number, -1, f"rules for {len(overrides[number].pairs)} links, not listed"])
            continue
        after = _settings([*links, *in_force.values()], addresses)
        if begins:
            shown += 1
            lines = [[number, place, text] for place, text in _changed(before, after)]
            found += lines[:MAX_RULES]
            if more := len(lines) - MAX_RULES:
                found += [[number, -1, f"and {more} more rules"]] if more > 0 else []
        before = after
    return found


def _override(row: Mapping[str, Any], names: list[str]) -> LinkOverride | None:
    if not row["pairs"] or not row["qualities"]:
        return None
    try:
        pairs = [[names[source], names[destination]] for source, destination in row["pairs"]]
        return parse_override({**row, "pairs": pairs})
    except (ValueError, TypeError, KeyError, IndexError):
        return None


def _settings(overrides: list[LinkOverride], addresses: Mapping[str, str]) -> dict[str, NodeSettings]:
    state = NetworkState()
    for override in overrides:
        state, _ = state.add(override)
    return node_settings(state.links(), addresses, _SPLIT)


def _changed(before: Mapping[str, NodeSettings], after: Mapping[str, NodeSettings]) -> Iterator[tuple[int, str]]:
    """Yield the node and the text of each rule that a change sets."""
    for place, (node, settings) in enumerate(after.items()):
        comment = ""
        for line in render.render(settings, before[node], _SPLIT).splitlines():
            if line.startswith("# "):
                comment = f"  ({line.removeprefix('# ')})"
            elif line.startswith(_RULE_STARTS):
                yield place, line + comment
                comment = ""
