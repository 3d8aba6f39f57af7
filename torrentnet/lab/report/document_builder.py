"""The builder of a run document: it takes a record's rows one by one.

The same builder serves a record that is read from its files, and a lab that is running. The document's form is in
docs/report.md.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.report.arrival_columns import Arrivals, binned_arrivals, joined_pieces
from torrentnet.lab.report.distribution_bounds import document_bound
from torrentnet.lab.report.document_faults import FaultTable
from torrentnet.lab.report.document_rows import LOG_CHARS, MAX_LINE, MAX_ROWS, NodeLog, Rows
from torrentnet.lab.report.document_rules import fault_rules
from torrentnet.lab.report.record_values import Document, clamped_ms, epoch_seconds, finite, whole_number
from torrentnet.lab.run.facts.arrivals import arrivals
from torrentnet.lab.run.recorder import LAB_NODE
from torrentnet.runtime.events import Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VERSION: Final = 1
UNKNOWN: Final = -1
"""In place of a node's or a file's place in its list."""
MAX_PIECES: Final = 2**31
MAX_TEXT: Final = 400
"""Characters of a mark's text."""

_OWN_MARKS: Final[Mapping[str, tuple[str, str]]] = {
    "listening": ("listening", "{address}"),
    "published": ("published", "{file}"),
    "lookup": ("lookup", "{file}, seeds: {seeds}"),
    "picked": ("picked", "one of {among}"),
    "source_lost": ("lost", "{reason}"),
    "bad_piece": ("bad_piece", "piece {piece}"),
    "completed": ("completed", "{file}"),
    "resumed": ("resumed", "{have} of {pieces} pieces were on disk"),
    "failed": ("failed", "{reason}"),
    "forgotten": ("forgotten", "{peer}, silent for {silent_ms} ms"),
    "left": ("left", "{peer}"),
    "joined": ("joined", "{peer}"),
    "tracker_silent": ("note", "the tracker is silent"),
    "tracker_back": ("note", "the tracker answers again"),
    "tracker_refused": ("note", "the tracker refused: {reason}"),
    "error": ("note", "error: {reason}"),
    "closing": ("note", "ends: {reason}"),
    "shaper_failed": ("note", "the shaper has ended: {reason}"),
    "blind": ("note", "not seen: {reason}"),
    "out_of_descriptors": ("note", "no file descriptor is left"),
    "output_cut": ("note", "printed too much; further lines are dropped"),
    "exited": ("note", "the program has ended with status {status}"),
}
"""Event of a program -> the mark's kind, and its text with the event's fields."""


class DocumentBuilder:
    """Builds a run document from a header and a record's rows.

    ``header`` is the document without what the rows tell: run, files, nodes, caps, expectations. Until t = 0 is known
    the rows wait. Not thread-safe.
    """

    def __init__(self, header: Mapping[str, Any]) -> None:
        self._run: Document = dict(header["run"])
        self._files: list[Document] = [dict(file) for file in header["files"]]
        self._nodes: list[Document] = [dict(node) for node in header["nodes"]]
        self._expectations: list[Document] = list(header["expectations"])
        self._rest = {key: header[key] for key in ("caps", "links") if key in header}
        self._index = {str(node["name"]): place for place, node in enumerate(self._nodes)}
        self._places = {node["address"]: place for place, node in enumerate(self._nodes) if node.get("address")}
        self._file_places = {str(file["name"]): place for place, file in reversed(list(enumerate(self._files)))}
        self._zero: float | None = None
        """t = 0, in seconds since the epoch."""
        self._early: list[Mapping[str, Any]] = []
        self._marks = Rows()
        self._phases = Rows()
        self._traffic = Rows()
        self._held = Rows()
        self._faults = FaultTable(self._index)
        self._arrivals = Arrivals()
        self._taken_arrivals = 0
        self._logs = [NodeLog(LOG_CHARS // max(1, len(self._nodes))) for _ in self._nodes]
        self._new_lines: list[list[Any]] = []
        self._now: list[str] = ["created" for _ in self._nodes]
        self._resumes: list[str] = ["" for _ in self._nodes]
        self._have: dict[tuple[int, int], int] = {}
        self._changed: Document = {}
        self._reset = False

    # -- input -------------------------------------------------------------------------------------

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row of ``events.jsonl``; what a row of another form says is left out."""
        name = row.get("event")
        if name == "zero" and row.get("node") == LAB_NODE:
            self._set_zero(epoch_seconds(row.get("time")) - (finite(row.get("t")) or 0.0))
            return
        if self._zero is None and "t" not in row:
            self._early.append(row)
            return
        fields = row.get("fields")
        node = row.get("node")
        ms = self._time(row)
        if not isinstance(name, str) or not isinstance(node, str) or ms is None:
            return
        fields = fields if isinstance(fields, dict) else {}
        if node == LAB_NODE:
            self._add_lab_event(ms, name, fields)
        elif (place := self._index.get(node)) is not None:
            self._add_node_event(place, ms, name, fields)

    def add_line(self, node: str, ms: int, text: str) -> None:
        """Add a line of a node's log."""
        if (place := self._index.get(node)) is not None:
            row = [clamped_ms(ms), place, text if len(text) <= MAX_LINE else text[: MAX_LINE - 1] + "…"]
            self._logs[place].add(row)
            self._new_lines.append(row)
            if len(self._new_lines) > MAX_ROWS:
                del self._new_lines[: MAX_ROWS // 2]

    def update_run(self, **changed: object) -> None:
        """Change keys of the document's ``run``."""
        self._run |= changed
        self._changed.setdefault("run", {}).update(changed)

    def set_expectations(self, expectations: Iterable[Document]) -> None:
        """Replace the expectations."""
        self._expectations = self._changed["expectations"] = list(expectations)

    def end_early(self) -> None:
        """Note that no row follows: without t = 0, time counts from the first row."""
        if self._zero is None and self._early:
            self._set_zero(min((epoch_seconds(row.get("time")) for row in self._early), default=0.0))

    # -- output ------------------------------------------------------------------------------------

    def document(self) -> Document:
        """Return the document so far, its lists in the order of time, with plain columns."""
        binned, columns = binned_arrivals(self._arrivals.columns(), self._files, self._nodes)
        held = sorted(self._held.rows, key=itemgetter(1))
        if binned is not None:
            held = [
                [node, ms, what if what == "all" else joined_pieces(what, binned["piece_bin"])]
                for node, ms, what in held
            ]
        logs = sorted((row for log in self._logs for row in log.rows), key=itemgetter(0))
        run = dict(self._run)
        if dropped := sum(rows.dropped for rows in (self._marks, self._phases, self._traffic, self._arrivals)):
            run["notes"] = [*run.get("notes", ()), f"{dropped} events are left out: a page shows {MAX_ROWS} of a kind"]
        if run.get("duration") is None:
            run["duration"] = self._last(columns)
        document = {
            "version": VERSION,
            "run": run,
            "files": self._files,
            "nodes": self._nodes,
            "caps": [],
            "links": [],
            **self._rest,
            "expectations": [self._with_deadline(one) for one in self._expectations],
            "faults": self._faults.rows(),
            "marks": sorted(self._marks.rows, key=itemgetter(0)),
            "phases": sorted(self._phases.rows, key=itemgetter(0)),
            "traffic": sorted(self._traffic.rows, key=itemgetter(0)),
            "arrivals": columns,
            "held": held,
            "binned": binned,
            "logs": logs,
            "logs_dropped": sum(log.dropped for log in self._logs),
        }
        document["rules"] = fault_rules(document)
        document["bound"] = document_bound(document)
        return document

    def _with_deadline(self, expectation: Document) -> Document:
        """Return an expectation with its deadline.

        The deadline may count from an event, and is unknown before that has begun.
        """
        after, within = expectation.get("after"), expectation.get("within")
        began = None if after is None else self._faults.beginning(after)
        if expectation.get("deadline") is not None or within is None or began is None:
            return expectation
        return {**expectation, "deadline": began + within}

    def take_delta(self) -> Document:
        """Return what is new since the last call; empty where nothing is.

        ``{"reset": True}`` means that the whole document has changed.
        """
        delta, self._changed = self._changed, {}
        for key, rows in (
            ("marks", self._marks),
            ("phases", self._phases),
            ("traffic", self._traffic),
            ("held", self._held),
        ):
            if new := rows.take():
                delta[key] = new
        if arrived := self._arrivals.since(self._taken_arrivals):
            delta["arrivals"] = arrived
            self._taken_arrivals = len(self._arrivals)
        if new_lines := self._new_lines:
            delta["logs"], self._new_lines = new_lines, []
        if faults := self._faults.take():
            delta["faults"] = faults
        if self._reset:
            self._reset = False
            return {"reset": True}
        return delta

    # -- events ------------------------------------------------------------------------------------

    def _set_zero(self, zero: float) -> None:
        early, self._early = self._early, []
        self._zero, self._reset = zero, True
        for place in range(len(self._nodes)):
            first = min((epoch_seconds(row.get("time")) - zero for row in early), default=0.0)
            self._phases.add([clamped_ms(first * 1000), place, "created"])
        for row in early:
            self.add(row)

    def _time(self, row: Mapping[str, Any]) -> int | None:
        """Return a row's milliseconds after t = 0; None for a row without a time."""
        if (since := finite(row.get("t"))) is not None:
            return clamped_ms(since * 1000)
        if self._zero is None:
            return None
        return clamped_ms((epoch_seconds(row.get("time")) - self._zero) * 1000)

    def _add_lab_event(self, ms: int, name: str, fields: Mapping[str, Any]) -> None:
        if name == "node":
            place = self._index.get(str(fields.get("of")))
            if place is not None:
                self._set_state(place, ms, str(fields.get("state")))
        elif name == "events_dropped":
            place = self._index.get(str(fields.get("of")), UNKNOWN)
            self._mark(ms, place, "note", UNKNOWN, "printed so much that its later events are not in the record")
        else:
            self._faults.add(ms, name, fields)

    def _set_state(self, place: int, ms: int, state: str) -> None:
        before = self._now[place]
        if state == "running":
            if before == "paused":
                self._mark(ms, place, "resumed_process", UNKNOWN, "")
                self._set_phase(place, ms, self._resumes[place] or "waiting")
            else:
                self._mark(ms, place, "started", UNKNOWN, "")
                self._set_phase(place, ms, "waiting")
        elif state == "paused":
            self._resumes[place] = before
            self._mark(ms, place, "paused", UNKNOWN, "")
            self._set_phase(place, ms, "paused")
        elif state.startswith("exited"):
            self._mark(ms, place, "exited", UNKNOWN, state)
            self._set_phase(place, ms, "gone")

    def _set_phase(self, place: int, ms: int, phase: str) -> None:
        if self._now[place] != phase:
            self._now[place] = phase
            self._phases.add([ms, place, phase])

    def _add_node_event(self, place: int, ms: int, name: str, fields: Mapping[str, Any]) -> None:
        node = self._nodes[place]
        if name == "progress":
            self._add_progress(place, ms, fields)
        elif name == "pair":
            other = self._places.get(str(fields.get("peer")), UNKNOWN)
            received, sent = whole_number(fields.get("received")), whole_number(fields.get("sent"))
            if received:
                self._traffic.add([ms, other, place, received])
            if sent:
                self._traffic.add([ms, place, other, sent])
        elif name == "state":
            if (state := fields.get("state")) in {"get", "seed"}:
                # A paused node may have printed the line just before.
                if self._now[place] == "paused":
                    self._resumes[place] = str(state)
                else:
                    self._set_phase(place, ms, str(state))
        else:
            if name == "listening":
                self._add_program(place, ms, fields)
            elif name == "published" and node["role"] != "tracker":
                self._add_file(place, fields)
                # A peer that has fetched every piece publishes them, too; what it held before is what it started with.
                if not self._have.get((place, node.get("file", UNKNOWN))):
                    self._held.add([place, ms, "all"])
            elif name == "resumed":
                self._add_resumed(place, ms, fields)
            elif name == "published":
                self._add_file(UNKNOWN, fields)
            if (form := _OWN_MARKS.get(name)) is not None:
                peer = self._places.get(str(fields.get("address", "")).rpartition(":")[0], UNKNOWN)
                kind, text = form
                self._mark(ms, place, kind, UNKNOWN if peer == place else peer, text.format_map(_Words(fields)))

    def _add_program(self, place: int, ms: int, fields: Mapping[str, Any]) -> None:
        node = self._nodes[place]
        program = str(fields.get("program", ""))
        ours = program in {"peer", "tracker"}
        client = "torrentnet" if ours else f"{program} {fields.get('version', '')}".strip()
        if node["role"] in {"tracker", "program"}:
            self._set_phase(place, ms, "up")
        if node.get("client") != client:
            node["client"], node["reports_pieces"] = client, program == "peer"
            self._changed["nodes"] = self._nodes

    def _mark(self, ms: int, place: int, kind: str, peer: int, text: str) -> None:
        self._marks.add([ms, place, kind, peer, text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"])

    def _add_file(self, place: int, fields: Mapping[str, Any]) -> int:
        """Note a file's size and pieces, and a node's file; return the file's place."""
        name = str(fields.get("file"))
        found = self._file_places.get(name, UNKNOWN)
        if found == UNKNOWN and place != UNKNOWN:
            found = self._nodes[place].get("file", UNKNOWN)
        if found == UNKNOWN:
            return UNKNOWN
        file = self._files[found]
        changed = False
        for key in ("size", "pieces"):
            if (value := whole_number(fields.get(key))) and not file.get(key):
                file[key], changed = value, True
        if changed and not file.get("piece_length") and file["pieces"] and file["size"]:
            file["piece_length"] = _piece_length(file["size"], file["pieces"])
        if changed:
            self._changed["files"] = self._files
        if place != UNKNOWN and self._nodes[place].get("file", UNKNOWN) == UNKNOWN:
            self._nodes[place]["file"] = found
            self._changed["nodes"] = self._nodes
        return found

    def _add_resumed(self, place: int, ms: int, fields: Mapping[str, Any]) -> None:
        file = self._add_file(place, fields)
        have, pieces = whole_number(fields.get("have")), whole_number(fields.get("pieces"))
        self._have[place, file] = have
        if have and have == pieces:
            self._held.add([place, ms, "all"])

    def _add_progress(self, place: int, ms: int, fields: Mapping[str, Any]) -> None:
        file = self._add_file(place, fields)
        have = whole_number(fields.get("have"))
        before = self._have.get((place, file), 0)
        self._have[place, file] = have
        if "arrived" in fields:
            self._add_arrivals(place, ms, self._files[file]["pieces"] if file != UNKNOWN else 0, fields)
            return
        if have > before and self._nodes[place]["reports_pieces"] is not False:
            self._nodes[place]["reports_pieces"] = False
            self._changed["nodes"] = self._nodes
        # An older record, and another project's program, say how many pieces a node has, not which.
        for _ in range(min(max(0, have - before), MAX_ROWS)):
            self._arrivals.add(ms, place, UNKNOWN, UNKNOWN)

    def _add_arrivals(self, place: int, ms: int, pieces: int, fields: Mapping[str, Any]) -> None:
        if not self._nodes[place]["reports_pieces"]:
            self._nodes[place]["reports_pieces"] = True
            self._changed["nodes"] = self._nodes
        sources: dict[str, int] = {}
        for arrival in arrivals(Event("progress", ms / 1000, fields)):
            source = sources.get(arrival.address)
            if source is None:
                source = self._places.get(arrival.address.rpartition(":")[0], UNKNOWN)
                sources[arrival.address] = source
            if arrival.piece < (pieces or MAX_PIECES):
                self._arrivals.add(round(arrival.time * 1000), place, arrival.piece, source)

    def _last(self, arrivals: Mapping[str, Any]) -> int:
        ends: list[int] = [rows.rows[-1][0] for rows in (self._marks, self._phases, self._traffic) if rows.rows]
        times: list[int] = arrivals["t"][-1:]
        return max([0, *ends, *times])


class _Words(dict[str, Any]):
    """An event's fields for a text; a field that is missing is a question mark."""

    def __missing__(self, key: str) -> str:
        return "?"


def _piece_length(size: int, pieces: int) -> int:
    """Return the power of two that gives a file this number of pieces, or 0."""
    length = 1
    while -(-size // length) > pieces:
        length *= 2
    return length if -(-size // length) == pieces else 0
