"""The hub between a lab and the pages that show it.

The lab's threads only leave what happens in a queue. A thread of the hub's own adds it to the run's document and cuts
the changes into numbered messages, ten a second at most, which are compressed once for all viewers. A viewer begins
with the whole document and its number, and asks for the messages after a number. The newest messages are kept; a
viewer that comes too late for them is told to fetch the document again.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import zlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from torrentnet.runtime.signals import block_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

INTERVAL: Final = 0.1
"""Seconds between two messages."""
MAX_WAITING: Final = 200_000
"""Rows that wait for the hub's thread."""
MAX_KEPT_BYTES: Final = 4 * 2**20
"""Bytes of the messages that are kept, uncompressed."""
RESET: Final = b'data: {"reset":true}\n\n'


class LiveDocument(Protocol):
    """The document of a run that is still being written: :class:`DocumentBuilder`."""

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row of events.jsonl."""

    def add_line(self, node: str, ms: int, text: str) -> None:
        """Add a line of a node's log."""

    def document(self) -> dict[str, Any]:
        """Return the whole document so far."""

    def take_delta(self) -> dict[str, Any]:
        """Return what has changed since the last call; empty where nothing has."""


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """One message to all viewers."""

    number: int
    plain: bytes
    packed: bytes
    """The same, deflated in blocks that refer to nothing before them, so that it fits behind any other."""


class Hub:
    """The queue, the document and the newest messages. Safe to call from any thread."""

    def __init__(self, document: LiveDocument) -> None:
        self._document = document
        self._building = threading.Lock()
        """Held while the document is used."""
        self._news = threading.Event()
        self._parts = threading.Lock()
        self._rows: deque[Callable[[], None]] = deque()
        self._changed: dict[str, Any] = {}
        """Parts of the document that somebody other than the rows has changed, since the last message."""
        self._own: dict[str, Any] = {}
        """All of these parts."""
        self._dropped = self._reported = 0
        """Rows for which there was no room, and how many of them a message has named."""
        self._number = 0
        self._messages: deque[StreamMessage] = deque()
        self._kept_bytes = 0
        self._cached: tuple[int, bytes] = (-1, b"")
        self._listeners: list[Callable[[], None]] = []
        self._closed = False
        self._thread = threading.Thread(target=self._pump, name="live page", daemon=True)
        self._thread.start()

    # -- what happens --------------------------------------------------------------------------------

    def add_row(self, text: str) -> None:
        """Add a row of events.jsonl, as text; never waits."""
        self._add(lambda: self._document.add(json.loads(text)))

    def add_line(self, node: str, ms: int, text: str) -> None:
        """Add a line of a node's log; never waits."""
        self._add(lambda: self._document.add_line(node, ms, text))

    def _add(self, step: Callable[[], None]) -> None:
        if self._closed:
            return
        if len(self._rows) >= MAX_WAITING:
            self._dropped += 1
            return
        self._rows.append(step)
        if not self._news.is_set():
            self._news.set()

    def change(self, run: Mapping[str, object], **parts: object) -> None:
        """Change keys of the document's ``run``, its verdict say, and replace other parts."""
        with self._parts:
            _merge(self._changed, {"run": dict(run), **parts})
        self._news.set()

    def replace(self, document: LiveDocument) -> None:
        """Show another document from now on; viewers fetch it."""
        with self._building:
            self._document = document
            self._number += 1
            self._forget()
        self._notify()

    def close(self) -> None:
        """End the thread; what was added before is in the document."""
        self._closed = True
        self._news.set()
        self._thread.join()

    # -- viewers -------------------------------------------------------------------------------------

    def document(self) -> bytes:
        """Return the document so far as JSON.

        Its ``seq`` is the number of the last message that it contains.
        """
        with self._building:
            if self._cached[0] != self._number:
                found = self._document.document()
                _merge(found, self._own)
                found["seq"] = self._number
                self._cached = (self._number, json.dumps(found, separators=(",", ":")).encode())
            return self._cached[1]

    def messages(self, after: int) -> Sequence[StreamMessage] | None:
        """Return the messages after a number.

        None where some of them are not kept any more.
        """
        with self._building:
            if after == self._number:
                return ()
            first = self._number - len(self._messages)
            if not first <= after < self._number:
                return None
            return list(self._messages)[after - first :]

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a function whenever there is a new message.

        The calls are on the hub's thread. Returns what ends them.
        """
        self._listeners.append(listener)

        def end() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return end

    # -- the thread ----------------------------------------------------------------------------------

    def _pump(self) -> None:
        block_signals()
        while not self._closed:
            self._news.wait()
            self._news.clear()
            self._flush()
            if not self._closed:
                time.sleep(INTERVAL)
        self._flush()

    def _flush(self) -> None:
        with self._building:
            for _ in range(len(self._rows)):
                # A row that cannot be understood is in the record, as it is.
                with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                    self._rows.popleft()()
            delta = dict(self._document.take_delta())
            with self._parts:
                changed, self._changed = self._changed, {}
            if self._dropped != self._reported:
                self._reported = self._dropped
                _merge(changed, {"run": {"missing": self._dropped}})
            _merge(self._own, changed)
            _merge(delta, changed)
            if not delta:
                return
            self._number += 1
            if delta.pop("reset", False):
                self._forget()
            else:
                self._keep(_message(self._number, delta))
        self._notify()

    def _keep(self, message: StreamMessage) -> None:
        self._messages.append(message)
        self._kept_bytes += len(message.plain)
        while self._kept_bytes > MAX_KEPT_BYTES and len(self._messages) > 1:
            self._kept_bytes -= len(self._messages.popleft().plain)

    def _forget(self) -> None:
        """Keep no message: every viewer fetches the document again."""
        self._messages.clear()
        self._kept_bytes = 0

    def _notify(self) -> None:
        for listener in list(self._listeners):
            listener()


def _merge(into: dict[str, Any], parts: Mapping[str, Any]) -> None:
    """Put parts of a document into another; the keys of ``run`` one by one."""
    for name, value in parts.items():
        into[name] = {**into.get(name, {}), **value} if name == "run" else value


def _message(number: int, delta: Mapping[str, Any]) -> StreamMessage:
    text = json.dumps({"seq": number, "delta": delta}, separators=(",", ":"))
    plain = f"data: {text}\n\n".encode()
    return StreamMessage(number, plain, pack(plain))


def pack(plain: bytes) -> bytes:
    """Deflate bytes to blocks that may stand anywhere in a stream.

    They end on a byte, are not the last, and refer to nothing before them.
    """
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(plain) + packer.flush(zlib.Z_FULL_FLUSH)
