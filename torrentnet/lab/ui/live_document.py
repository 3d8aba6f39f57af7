"""The document of a lab that is still coming up.

Tested by tests/unit/lab/ui/test_session.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torrentnet.lab.report.document_builder import DocumentBuilder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class LateDocument:
    """A document whose header is known when the first row arrives.

    Until then it has the header that it is created with.
    """

    def __init__(self, first: Mapping[str, Any], header: Callable[[], Mapping[str, Any]]) -> None:
        self._builder = DocumentBuilder(first)
        self._header = header
        self._known = self._new = False

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row of events.jsonl."""
        if not self._known:
            self._builder = DocumentBuilder(self._header())
            self._known = self._new = True
        self._builder.add(row)

    def add_line(self, node: str, ms: int, text: str) -> None:
        """Add a line of a node's log."""
        self._builder.add_line(node, ms, text)

    def document(self) -> dict[str, Any]:
        """Return the whole document so far."""
        return self._builder.document()

    def take_delta(self) -> dict[str, Any]:
        """Return what has changed since the last call; empty where nothing has."""
        delta = self._builder.take_delta()
        if self._new:
            self._new = False
            return {"reset": True}
        return delta
