"""Serving pieces over one connection: whoever is interested gets them, within bounds. No socket in here."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from torrentnet.peer.conversation import FileSpan
from torrentnet.wire.errors import PeerProtocolError
from torrentnet.wire.extended import MAX_REQUESTS, METADATA_PIECE, Metadata, MetadataKind
from torrentnet.wire.handshake import Handshake
from torrentnet.wire.messages import (
    MAX_BLOCK,
    Cancel,
    Have,
    Interested,
    NotInterested,
    Reject,
    Request,
    Unchoke,
)

if TYPE_CHECKING:
    from torrentnet.peer.conversation import Conversation, ConversationEvent
    from torrentnet.peer.storage import FileStore

HIGH_WATER = 512 * 1024
"""Bytes on their way out past which requests wait: a cancel then still finds them."""
MAX_QUEUE = 2 * MAX_REQUESTS
MAX_REFUSED = 300
"""Requests that cannot be met before the connection is closed."""
HANDSHAKE_TIMEOUT = 10.0
IDLE_TIMEOUT = 150.0
"""BEP 3: peers say something about every two minutes."""
DRAIN_TIMEOUT = 60.0
"""Seconds in which a peer that asked for data must take some of it."""


class Upload:
    """The serving side of one conversation."""

    def __init__(self, conversation: Conversation, store: FileStore, now: float) -> None:
        self._conversation = conversation
        self._store = store
        self._queue: deque[Request] = deque()
        self._unchoked = False
        self._refused = 0
        self._heard = now
        self._drained = now
        self._sent_before = 0
        self.sent_blocks = 0
        self.queued_bytes = 0
        """Bytes of blocks handed to the conversation so far."""

    @property
    def wants_to_send(self) -> bool:
        """Whether requests wait that the connection has room for."""
        return bool(self._queue) and self._conversation.waiting < HIGH_WATER

    def take(self, event: ConversationEvent, now: float) -> None:
        """React to what the other side said. Raises :class:`PeerProtocolError` when it abuses us."""
        self._heard = now
        if self._conversation.waiting > 2 * HIGH_WATER:
            raise PeerProtocolError("asks and asks, and takes none of the answers")
        if isinstance(event, Handshake):
            self._conversation.send_introduction(self._store.held, len(self._store.info.raw))
        elif isinstance(event, Request):
            self._take_request(event)
        elif isinstance(event, Cancel):
            self._take_cancel(event)
        elif isinstance(event, Interested):
            if not self._unchoked:
                self._unchoked = True
                self._conversation.send(Unchoke())
        elif isinstance(event, NotInterested):
            self._queue.clear()
        elif isinstance(event, Metadata):
            self._take_metadata(event)

    def announce(self, piece: int) -> None:
        """Tell the other side of a piece that is here now (BEP 3: only once it is verified)."""
        if self._conversation.other is not None:
            self._conversation.send(Have(piece))

    def pump(self) -> None:
        """Move waiting requests to the output, as far as there is room."""
        while self.wants_to_send:
            request = self._queue.popleft()
            offset = request.piece * self._store.info.piece_length + request.begin
            self._conversation.send_block(
                request.piece, request.begin, FileSpan(self._store.descriptor, offset, request.length)
            )
            self.sent_blocks += 1
            self.queued_bytes += request.length

    def expired(self, now: float) -> str | None:
        """Why the connection is to be closed by now, if it is."""
        waiting = self._conversation.waiting
        sent = self._conversation.sent_bytes
        if sent != self._sent_before or not waiting:
            self._sent_before, self._drained = sent, now
        if self._conversation.other is None and now - self._heard > HANDSHAKE_TIMEOUT:
            return "no handshake"
        if now - self._heard > IDLE_TIMEOUT and not waiting:
            return "idle"
        if now - self._drained > DRAIN_TIMEOUT:
            return "takes no data"
        return None

    def _take_request(self, request: Request) -> None:
        info = self._store.info
        possible = (
            self._unchoked
            and request.piece in self._store.held
            and 0 < request.length <= MAX_BLOCK
            and request.begin + request.length <= info.piece_size(request.piece)
            and len(self._queue) < MAX_QUEUE
        )
        if possible:
            self._queue.append(request)
            return
        self._refused += 1
        if self._refused > MAX_REFUSED:
            raise PeerProtocolError(f"{self._refused} requests that cannot be met")
        if self._conversation.fast:
            self._conversation.send(Reject(*request))

    def _take_cancel(self, cancel: Cancel) -> None:
        request = Request(*cancel)
        if request not in self._queue:
            return
        self._queue.remove(request)
        # BEP 6: every request is answered exactly once, a cancelled one too.
        if self._conversation.fast:
            self._conversation.send(Reject(*request))

    def _take_metadata(self, metadata: Metadata) -> None:
        if metadata.kind is not MetadataKind.REQUEST:
            return
        raw = self._store.info.raw
        start = metadata.piece * METADATA_PIECE
        if start >= len(raw) or self._conversation.waiting >= HIGH_WATER:
            self._conversation.send_metadata(Metadata(MetadataKind.REJECT, metadata.piece))
            return
        data = raw[start : start + METADATA_PIECE]
        self._conversation.send_metadata(Metadata(MetadataKind.DATA, metadata.piece, len(raw), data))
