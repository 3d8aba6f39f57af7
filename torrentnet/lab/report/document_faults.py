"""The faults of a run document: what was done to which nodes, and until when.

Tested by tests/unit/lab/report/test_run_document.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.report.record_values import listed, milliseconds, object_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LASTING: Final = frozenset({"pause", "partition", "isolate", "impair"})
"""Kinds that last until something ends them."""
VERBS: Final = frozenset({"start", "kill", "stop", "restart", "pause", "resume"})
"""Events of the lab's Python interface that are kinds themselves."""
END: Final = "end of "
"""Before the text of a lasting fault, for the item that ends it."""


class FaultTable:
    """Faults by their number, in the order in which they began.

    ``index`` has the place of each node.
    """

    def __init__(self, index: Mapping[str, int]) -> None:
        self._index = index
        self._rows: list[dict[str, Any]] = []
        self._open: dict[tuple[str, tuple[int, ...]], int] = {}
        """Text and nodes of what has begun and is not applied yet -> its number."""
        self._numbers: list[object] = []
        """The lab's own number of each fault that changes links, or None."""
        self._events: list[object] = []
        """The place of each fault's event in the scenario's timeline, or None."""
        self._new: set[int] = set()

    def rows(self) -> list[dict[str, Any]]:
        """Return every fault."""
        return [dict(row) for row in self._rows]

    def beginning(self, event: object) -> int | None:
        """Return the milliseconds at which an event began; None while it has not."""
        number = next((number for number, one in enumerate(self._events) if one == event), None)
        return None if number is None else int(self._rows[number]["began"])

    def take(self) -> list[dict[str, Any]]:
        """Return the faults that are new or have changed since the last call."""
        new, self._new = sorted(self._new), set()
        return [dict(self._rows[number]) for number in new]

    def add(self, ms: int, name: str, fields: Mapping[str, Any]) -> None:
        """Add an event of the lab."""
        text = str(fields.get("text", ""))
        nodes = tuple(self._nodes(fields.get("nodes")))
        if text.startswith(END):
            if name == "applied":
                self._end(_ms(fields.get("began"), ms), text.removeprefix(END), fields)
        elif name == "begun":
            self._begin(ms, text, nodes, fields)
        elif name == "applied":
            self._apply(ms, text, nodes, fields)
        elif name == "laid":
            self._begin(ms, text, nodes or tuple(self._nodes(fields.get("set_in"))), fields)
            self._apply(ms, text, nodes or tuple(self._nodes(fields.get("set_in"))), fields)
        elif name == "lifted":
            self._end(ms, text, fields)
        elif name in VERBS:
            names = ", ".join(str(node) for node in listed(fields.get("nodes")))
            self._begin(ms, f"{name} {names}", nodes, {"kind": name, **fields})
            self._apply(ms, f"{name} {names}", nodes, {"kind": name, **fields})

    def _begin(self, ms: int, text: str, nodes: tuple[int, ...], fields: Mapping[str, Any]) -> None:
        number = len(self._rows)
        self._rows.append(
            {
                "id": number,
                "kind": str(fields.get("kind") or _kind(text)),
                "name": str(fields.get("name") or ""),
                "text": text,
                "nodes": list(nodes),
                "pairs": index_pairs(fields.get("pairs"), self._index),
                "qualities": object_of(fields.get("qualities")),
                "planned": _ms(fields.get("planned"), ms),
                "began": _ms(fields.get("began"), ms),
                "applied": None,
                "ended": None,
                "measured": None,
                "error": None,
                "where": fields.get("where") or None,
            }
        )
        self._numbers.append(None)
        self._events.append(fields.get("event"))
        self._open[text, nodes] = number
        self._new.add(number)

    def _apply(self, ms: int, text: str, nodes: tuple[int, ...], fields: Mapping[str, Any]) -> None:
        number = self._open.pop((text, nodes), None)
        if number is None:
            # The end of a pause names the nodes that it resumed, which are known when it is over.
            number = next((self._open.pop(key) for key in list(self._open) if key[0] == text), None)
        if number is None:
            self._begin(_ms(fields.get("began"), ms), text, nodes, fields)
            number = self._open.pop((text, nodes))
        row = self._rows[number]
        row["nodes"] = list(nodes) or row["nodes"]
        self._numbers[number] = fields.get("fault")
        if fields.get("event") is not None:
            self._events[number] = fields["event"]
        for key in ("planned", "began"):
            row[key] = _ms(fields.get(key), row[key])
        row["applied"] = None if fields.get("error") else _ms(fields.get("applied"), ms)
        row["ended"] = _ms(fields.get("ended"), None)
        row["error"] = str(fields["error"]) if fields.get("error") else None
        for key in ("kind", "name", "where"):
            row[key] = str(fields[key]) if fields.get(key) else row[key]
        if fields.get("pairs"):
            row["pairs"] = index_pairs(fields.get("pairs"), self._index)
        if fields.get("qualities"):
            row["qualities"] = object_of(fields.get("qualities"))
        self._new.add(number)
        if row["error"] is None and row["kind"] not in LASTING:
            row["ended"] = row["applied"]
            self._end_others(row)

    def _end_others(self, row: Mapping[str, Any]) -> None:
        """End the pauses that this item ends."""
        if row["kind"] in {"resume", "kill", "stop", "restart"}:
            for other in self._rows:
                if other["kind"] == "pause" and other["ended"] is None and set(other["nodes"]) <= set(row["nodes"]):
                    self._close(other, row["began"])

    def _end(self, ms: int, text: str, fields: Mapping[str, Any]) -> None:
        number = fields.get("ends")
        for other, fault in zip(self._rows, self._numbers, strict=True):
            if number is not None and fault is not None and fault != number:
                continue
            if other["text"] == text and other["kind"] in LASTING and other["ended"] is None:
                if measured := object_of(fields.get("measured")).get("text"):
                    other["measured"] = str(measured)
                self._close(other, ms)
                return

    def _close(self, row: dict[str, Any], ms: int) -> None:
        row["ended"] = ms
        self._new.add(row["id"])

    def _nodes(self, names: object) -> Iterator[int]:
        for name in listed(names):
            if (place := self._index.get(str(name))) is not None:
                yield place


def index_pairs(pairs: object, index: Mapping[str, int]) -> list[list[int]]:
    """Return directed pairs of names as pairs of places; unknown names are left out."""
    found = [[index.get(str(name), -1) for name in listed(pair)] for pair in listed(pairs)]
    return [pair for pair in found if len(pair) == 2 and -1 not in pair]


def _kind(text: str) -> str:
    """Return the verb of an item as a scenario writes it."""
    return text.partition(" ")[0] or "run"


def _ms(seconds: object, default: Any) -> Any:
    found = milliseconds(seconds)
    return default if found is None else found
