"""The picture of a run's network, from its record: as planned, or at a moment."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.errors import UsageError
from torrentnet.lab.report.graph.network_graph import GraphNode, build_graph
from torrentnet.lab.report.graph.planned import network_of, shown_settings, size_text
from torrentnet.lab.report.record_values import finite, listed, object_of, objects, read_object, whole_number
from torrentnet.lab.report.run_document import PLAN_FILE, run_document
from torrentnet.lab.scenario.language.scalars import format_duration
from torrentnet.lab.scenario.override_rows import parse_override
from torrentnet.lab.scenario.plan.plan import NodeProgram, Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torrentnet.lab.report.graph.network_graph import NetworkGraph
    from torrentnet.lab.scenario.qualities import LinkOverride

NETWORK_FAULTS: Final = frozenset({"partition", "isolate", "impair"})
STATES: Final[Mapping[str, str]] = {"created": "waiting", "up": ""}
"""Words for phases whose own word says too little, or what everybody sees."""


def record_graph(record: Path, at: float | None = None) -> NetworkGraph:
    """Return the picture of a run as planned, or at ``at`` seconds after t = 0.

    Raises LabError for a directory that is no record, UsageError for a time after the run's end, and OSError.
    """
    plan, document = read_object(record / PLAN_FILE), run_document(record)
    run, nodes, files = document["run"], document["nodes"], document["files"]
    links = [override for row in objects(plan.get("links")) if (override := _override(row)) is not None]
    notes: list[str] = []
    drawn = list(_nodes(plan, nodes, files))
    if at is not None:
        duration = run.get("duration")
        if isinstance(duration, int) and at * 1000 > duration:
            raise UsageError(
                f"the run ended at {format_duration(duration / 1000)}, before {format_duration(at)}",
                hint="`--at` counts from t = 0; the record has no later moment",
            )
        states = _states(document, round(at * 1000))
        drawn = [replace(node, state=states.get(place, "")) for place, node in enumerate(drawn)]
        for fault in _in_force(document, round(at * 1000)):
            name = f"{fault['name']}: " if fault["name"] else ""
            notes.append(f"in force: {name}{fault['text']}")
            if fault["kind"] in NETWORK_FAULTS:
                override = _fault_override(fault, [str(node["name"]) for node in nodes])
                if override is not None:
                    links.append(override)
                else:
                    notes[-1] += " (not drawn: the record does not say between which nodes)"
    sizes = [(_file_name(file), size_text(size) if (size := whole_number(file.get("size"))) else "") for file in files]
    return build_graph(
        str(run["scenario"]),
        str(run["about"]),
        drawn,
        network_of(links).links(),
        at=at,
        files=dict(sizes).items(),
        notes=notes,
    )


def _nodes(plan: Mapping[str, Any], nodes: list[dict[str, Any]], files: list[dict[str, Any]]) -> Iterator[GraphNode]:
    planned = {str(row.get("name")): row for row in objects(plan.get("nodes"))}
    for node in nodes:
        row = planned.get(str(node["name"]), {})
        program = str(object_of(row.get("foreign")).get("name") or row.get("program") or "")
        place = node["file"]
        yield GraphNode(
            name=str(node["name"]),
            group=str(node["group"]),
            role=Role.RUN if node["role"] == "program" else str(node["role"]),
            file=_file_name(files[place]) if 0 <= place < len(files) else "",
            program="" if program == NodeProgram.OURS else program,
            settings=shown_settings(
                [str(word) for word in listed(row.get("arguments"))], finite(row.get("start")) or 0
            ),
        )


def _file_name(file: Mapping[str, Any]) -> str:
    return str(file["name"]).rpartition("/")[2]


def _states(document: Mapping[str, Any], ms: int) -> dict[int, str]:
    """Return what each node was doing at a moment, by its place."""
    found = dict.fromkeys(range(len(document["nodes"])), "waiting")
    for when, place, phase in document["phases"]:
        if when <= ms and place in found:
            found[place] = STATES.get(phase, phase)
    shares = _shares(document, ms)
    return {
        place: f"get {100 * shares[place]:.0f} %" if state == "get" and place in shares else state
        for place, state in found.items()
    }


def _shares(document: Mapping[str, Any], ms: int) -> dict[int, float]:
    """Return the share of its file that each node had, where that is known."""
    counts: dict[int, int] = {}
    arrivals = document["arrivals"]
    for when, place in zip(arrivals["t"], arrivals["node"], strict=True):
        if when <= ms:
            counts[place] = counts.get(place, 0) + 1
    for place, when, what in document["held"]:
        if when <= ms and isinstance(what, list):
            counts[place] = counts.get(place, 0) + len(what)
    joined = (document["binned"] or {}).get("piece_bin", 1)
    files, shares = document["files"], {}
    for place, node in enumerate(document["nodes"]):
        pieces = files[node["file"]]["pieces"] if 0 <= node["file"] < len(files) else 0
        if pieces:
            shares[place] = min(1.0, counts.get(place, 0) / -(-pieces // joined))
    return shares


def _in_force(document: Mapping[str, Any], ms: int) -> Iterator[dict[str, Any]]:
    """Yield the lasting faults that were in force at a moment, oldest first."""
    for fault in document["faults"]:
        lasting = fault["kind"] in NETWORK_FAULTS or fault["kind"] == "pause"
        if lasting and fault["error"] is None and fault["began"] <= ms and not _is_over(fault, ms):
            yield fault


def _is_over(fault: Mapping[str, Any], ms: int) -> bool:
    return fault["ended"] is not None and fault["ended"] <= ms


def _fault_override(fault: Mapping[str, Any], names: list[str]) -> LinkOverride | None:
    pairs = [[names[source], names[target]] for source, target in fault["pairs"]]
    override = _override({"pairs": pairs, "qualities": fault["qualities"], "text": fault["text"]})
    return override if override is not None and override.pairs and override.qualities.asked() else None


def _override(row: Mapping[str, Any]) -> LinkOverride | None:
    """Return the override of a record's row; None for a row of another form."""
    try:
        return parse_override(row)
    except (ValueError, KeyError, TypeError):
        return None
