"""A record behind a live page.

Its run has ended, or another command is still writing it. Nobody changes anything through such a page.

Tested by tests/unit/lab/ui/test_session.py.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.errors import LabError, UsageError
from torrentnet.lab.report.document_builder import DocumentBuilder
from torrentnet.lab.report.run_document import EVENTS_FILE, RESULT_FILE, record_header, run_document
from torrentnet.runtime.signals import block_signals

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torrentnet.lab.ui.hub import Hub
    from torrentnet.lab.ui.session import LiveSession
    from torrentnet.lab.ui.verb_request import VerbAnswer, VerbRequest

ENDED: Final = "the run has ended; the page shows its record"
ELSEWHERE: Final = "another command runs this scenario; the page watches it, and `--ui` there gives the verbs"
POLL_INTERVAL: Final = 0.25


class FixedDocument:
    """A document that is complete."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def add(self, row: Mapping[str, Any]) -> None:
        """Nothing is added to it."""

    def add_line(self, node: str, ms: int, text: str) -> None:
        """Nothing is added to it."""

    def document(self) -> dict[str, Any]:
        """Return the document."""
        return dict(self._document)

    def take_delta(self) -> dict[str, Any]:
        """Return that nothing has changed."""
        return {}


class RecordView:
    """A record, shown while it grows and when it is complete."""

    def __init__(self, record: Path, session: LiveSession) -> None:
        """Begin to serve the page. Raises LabError for a directory that is no record."""
        self._record = record
        self._ended = threading.Event()
        self.read_only = ENDED if (record / RESULT_FILE).exists() else ELSEWHERE
        if self.read_only == ENDED:
            session.show(record.parent.name, FixedDocument(run_document(record)), self)
            return
        header = record_header(record)
        header["run"] |= {"live": True, "verdict": "running", "error": None}
        hub = session.show(record.parent.name, DocumentBuilder(header), self)
        threading.Thread(target=self._follow, args=(hub,), name="record", daemon=True).start()

    def act(self, request: VerbRequest) -> VerbAnswer:
        """Refuse every verb."""
        raise UsageError(self.read_only)

    def scenario(self) -> str:
        """Refuse: nothing was done by hand here."""
        raise UsageError("nothing is clicked on this page")

    def close(self) -> None:
        """Follow the record no longer."""
        self._ended.set()

    def _follow(self, hub: Hub) -> None:
        """Show what is written, until there is a result."""
        block_signals()
        path, rest = self._record / EVENTS_FILE, ""
        with path.open(encoding="utf-8", errors="replace") as file:
            while True:
                complete = (self._record / RESULT_FILE).exists()
                while text := file.read(1 << 20):
                    *rows, rest = (rest + text).split("\n")
                    for row in rows:
                        hub.add_row(row)
                if complete:
                    break
                if self._ended.wait(POLL_INTERVAL):
                    return
        self.read_only = ENDED
        try:
            hub.replace(FixedDocument(run_document(self._record)))
        except (LabError, OSError):
            hub.change({"live": False})
