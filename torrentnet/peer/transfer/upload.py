"""The upload side of one connection, without I/O.

This side serves the requests of an interested peer.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from torrentnet.peer.scheduling.remote_pieces import RemotePieces
from torrentnet.peer.transfer.protocol import Credit, FileSpan
from torrentnet.wire.errors import PeerProtocolError
from torrentnet.wire.peer.extension_protocol import (
    METADATA_PIECE,
    ExtensionHandshake,
    Metadata,
    MetadataKind,
)
from torrentnet.wire.peer.handshake import Handshake
from torrentnet.wire.peer.messages import (
    MAX_BLOCK,
    Bitfield,
    Block,
    Cancel,
    Have,
    Interested,
    NotInterested,
    Reject,
    Request,
    Unchoke,
)
from torrentnet.wire.piece_set import PieceSet

if TYPE_CHECKING:
    from torrentnet.peer.storage.file_store import FileStore
    from torrentnet.peer.transfer.protocol import PeerProtocol, PeerProtocolEvent

HIGH_WATER: Final = 512 * 1024
"""Bytes of queued output above which requests wait, so that they can still be cancelled."""
MAX_QUEUE: Final = 2_000
"""Requests from which on nothing more is read from the connection, until some are served."""
MAX_REJECTED: Final = 300
"""Invalid requests after which the connection is closed."""
HANDSHAKE_TIMEOUT: Final = 10.0
IDLE_TIMEOUT: Final = 150.0
"""Peers send a keep-alive about every two minutes (BEP 3)."""
DRAIN_TIMEOUT: Final = 60.0
"""Seconds within which a peer must receive some of the data that it has requested."""
CREDIT_GRACE: Final = 0.1
"""Seconds for which an unused credit counts as bytes to send; then another peer gets a turn."""
CREDIT_TIMEOUT: Final = 5.0
"""Seconds after which an unused credit is void."""

IDLE_GRACE: Final = 5.0
"""Seconds without a useful message after which a connection may have to make room for another one."""
HANDSHAKE_GRACE: Final = 1.0
"""The same before the handshake."""
_USEFUL: Final = (Handshake, Request, Block, Have, Metadata, Credit)


class Upload:
    """The upload side of one connection.

    ``store`` is None while there is nothing to serve. A remote peer that uses credits (``tn_offer``) requests one piece
    per credit. The requests of any other peer are served at once, or while :attr:`choking` by one piece's length per
    turn.
    """

    def __init__(self, protocol: PeerProtocol, store: FileStore | None, now: float) -> None:
        self._protocol = protocol
        self._store: FileStore | None = None
        self.remote_pieces = RemotePieces()
        """The pieces that the remote peer holds."""
        self._queue: deque[Request] = deque()
        self._queued_request_bytes = 0
        self._initial_state_sent = False
        self._unchoked = False
        self.interested = False
        """Whether the remote peer is interested (BEP 3)."""
        self._rejected = 0
        self._received_at = now
        self.useful_at = now
        """When the remote peer last sent something else than keep-alives and the like."""
        self._sent_at = now
        self._sent_before = 0
        self._unsent_haves: list[int] = []
        self._sent_pieces: PieceSet | None = None
        self._open_credits = 0
        self._credited_at = now
        self._last_piece = -1
        self._turn_bytes = 0
        self.high_water = HIGH_WATER
        """Bytes of queued output above which requests wait; lower while choking."""
        self.choking = False
        """Whether the requests of a peer without credits wait for :meth:`grant_turn`."""
        self.waiting_since = now
        """Time of the last turn, or since when the peer has wanted one."""
        self.sent_blocks = 0
        self.queued_bytes = 0
        """Total bytes of blocks in the protocol's output so far."""
        if store is not None:
            self.open(store)

    def open(self, store: FileStore) -> None:
        """Serve ``store`` from now on.

        Raises :class:`PeerProtocolError` if the remote peer has announced pieces that the file does not have.
        """
        self._store = store
        self._sent_pieces = PieceSet(store.info.pieces)
        if self._initial_state_sent:
            # The remote peer may request the info dictionary from now on.
            self._protocol.send_extension_handshake(len(store.info.raw))
        self.remote_pieces.set_piece_count(store.info.pieces)
        if self._protocol.remote_handshake is None or not len(store.held):
            return
        # The initial state announced no piece; an earlier run has left some.
        extension = self._protocol.remote_extension
        if extension is not None and extension.makes_offers:
            self._protocol.send(Bitfield(store.held.bitfield()))
            return
        # Other clients accept a bitfield only as the first message (BEP 3).
        for piece in store.held:
            self._protocol.send(Have(piece))

    @property
    def is_full(self) -> bool:
        """Whether so many requests wait that no more messages should be handled."""
        return len(self._queue) >= MAX_QUEUE

    @property
    def has_room(self) -> bool:
        """Whether messages are handled again after :attr:`is_full`."""
        return len(self._queue) <= MAX_QUEUE // 2

    @property
    def has_requests(self) -> bool:
        """Whether requests are waiting."""
        return bool(self._queue)

    @property
    def backlog(self) -> int:
        """Bytes of requests that are granted and not sent."""
        queued = self._queued_request_bytes
        if self._needs_turn:
            queued = min(queued, max(0, self._turn_bytes))
        return self._protocol.pending_bytes + queued

    def promised_bytes(self, now: float) -> int:
        """Return the bytes that the remote peer may request with its credits.

        The remote peer may send these requests at any moment.
        """
        if not self._open_credits or self._store is None or now - self._credited_at > CREDIT_GRACE:
            return 0
        return self._open_credits * self._store.info.piece_length

    @property
    def pieces_held(self) -> int:
        """Number of pieces that the remote peer holds or will hold soon.

        Pieces count if the remote peer holds them, has been sent them from here, or has a credit for them.
        """
        held, sent = self.remote_pieces.held, self._sent_pieces
        if sent is None or not self._protocol.remote_uses_credits:
            # A peer without credits requests far more than has been sent.
            return (len(held) if held is not None else 0) + self._open_credits
        return (sent.union_size(held) if held is not None else len(sent)) + self._open_credits

    @property
    def can_send(self) -> bool:
        """Whether a granted request is waiting and the output has room for it."""
        return self.has_granted_requests and self._protocol.pending_bytes < self.high_water

    @property
    def has_granted_requests(self) -> bool:
        """Whether requests are waiting that need no further turn."""
        return bool(self._queue) and not (self._needs_turn and self._turn_bytes <= 0)

    @property
    def _needs_turn(self) -> bool:
        return self.choking and not self._protocol.remote_uses_credits

    def wants_turn(self, now: float, max_bytes: int) -> bool:
        """Return whether the choker may grant a turn to the remote peer.

        No turn is granted while ``max_bytes`` are promised or queued.
        """
        if self._needs_turn:
            return bool(self._queue) and self._turn_bytes <= 0
        store, sent = self._store, self._sent_pieces
        if store is None or sent is None or not self.interested or not self._protocol.remote_uses_credits:
            return False
        if self._open_credits and now - self._credited_at > CREDIT_TIMEOUT:
            # The credit was lost or the peer is not ready: grant a new credit after the other peers' turns.
            self._open_credits = 0
        if self._open_credits and now - self._credited_at > CREDIT_GRACE:
            return False
        if self._open_credits * store.info.piece_length + self.backlog >= max_bytes:
            return False
        held = self.remote_pieces.held
        return store.held.has_piece_beyond(sent) if held is None else store.held.has_piece_beyond(sent, held)

    def grant_turn(self, now: float) -> int:
        """Grant the remote peer one more piece; return the bytes that this promises."""
        assert self._store is not None
        length = self._store.info.piece_length
        self.waiting_since = now
        if self._needs_turn:
            self._turn_bytes += length
            return min(length, self._queued_request_bytes)
        # The remote peer must know which pieces it can request.
        self.send_haves()
        self._protocol.send_credit()
        self._open_credits += 1
        self._credited_at = now
        return length

    def handle(self, event: PeerProtocolEvent, now: float) -> None:
        """Handle an event of the protocol.

        Raises :class:`PeerProtocolError` if the remote peer breaks a limit.
        """
        self._received_at = now
        if isinstance(event, _USEFUL):
            self.useful_at = now
        if self._protocol.pending_bytes > self.high_water + 2 * HIGH_WATER:
            raise PeerProtocolError("keeps requesting without reading the replies")
        if isinstance(event, Handshake):
            store = self._store
            held, size = (store.held, len(store.info.raw)) if store is not None else (None, 0)
            self._protocol.send_initial_state(held, size)
            self._initial_state_sent = True
        elif isinstance(event, Request):
            self._handle_request(event, now)
        elif isinstance(event, Cancel):
            self._handle_cancel(event)
        elif isinstance(event, Interested):
            if not self.interested:
                self.interested, self.waiting_since = True, now
            if not self._unchoked:
                self._unchoked = True
                self._protocol.send(Unchoke())
        elif isinstance(event, NotInterested):
            self.interested = False
            self._open_credits = 0
            if not self._protocol.remote_uses_credits:
                # From a peer with credits, the message only means that no further credit is needed now.
                self._drop_requests()
        elif isinstance(event, Metadata):
            self._handle_metadata(event)
        elif not isinstance(event, (ExtensionHandshake, Credit)):
            self.remote_pieces.handle(event)

    def queue_have(self, piece: int) -> None:
        """Queue a have message for a verified piece; :meth:`send_haves` sends it."""
        if self._protocol.remote_handshake is not None:
            self._unsent_haves.append(piece)

    def send_haves(self) -> None:
        """Send the queued have messages, many in one packet."""
        for piece in self._unsent_haves:
            self._protocol.send(Have(piece))
        self._unsent_haves.clear()

    def fill_output(self) -> None:
        """Move granted requests to the output while there is room."""
        store = self._store
        while self.can_send:
            assert store is not None
            request = self._queue.popleft()
            self._queued_request_bytes -= request.length
            if self._needs_turn:
                self._turn_bytes -= request.length
            offset = request.piece * store.info.piece_length + request.begin
            self._protocol.send_block(request.piece, request.begin, FileSpan(store.descriptor, offset, request.length))
            self.sent_blocks += 1
            self.queued_bytes += request.length

    def is_in_use(self, now: float) -> bool:
        """Whether useful messages or data have passed within the last seconds."""
        is_sending = self._protocol.pending_bytes > 0 and now - self._sent_at < IDLE_GRACE
        return is_sending or now - self.useful_at < IDLE_GRACE

    def idle_since(self, now: float) -> float | None:
        """Return since when the remote peer has wanted nothing.

        Return None if it may still want something.
        """
        if self._queue or self._protocol.pending_bytes or (self.interested and self._protocol.remote_uses_credits):
            return None
        grace = IDLE_GRACE if self._protocol.remote_handshake is not None else HANDSHAKE_GRACE
        return self.useful_at if now - self.useful_at >= grace else None

    def expiry_reason(self, now: float) -> str | None:
        """Return why the connection has expired; None if it has not."""
        waiting, sent = self._protocol.pending_bytes, self._protocol.sent_bytes
        if sent != self._sent_before or not waiting:
            self._sent_before, self._sent_at = sent, now
        if self._protocol.remote_handshake is None and now - self._received_at > HANDSHAKE_TIMEOUT:
            return "no handshake"
        if now - self._received_at > IDLE_TIMEOUT and not waiting:
            return "idle"
        if now - self._sent_at > DRAIN_TIMEOUT:
            return "receives no data"
        return None

    def _handle_request(self, request: Request, now: float) -> None:
        store = self._store
        if store is not None and self._can_serve(request, store):
            if not self._queue:
                self.waiting_since = max(self.waiting_since, now)
            self._queue.append(request)
            self._queued_request_bytes += request.length
            self.interested = True
            if request.piece != self._last_piece:
                self._last_piece = request.piece
                self._open_credits = max(0, self._open_credits - 1)
                if self._sent_pieces is not None:
                    self._sent_pieces.add(request.piece)
            return
        self._rejected += 1
        if self._rejected > MAX_REJECTED:
            raise PeerProtocolError(f"{self._rejected} invalid requests")
        self._reject(request)

    def _reject(self, request: Request) -> None:
        # BEP 6: each request gets exactly one reply, even a cancelled one.
        if self._protocol.fast:
            self._protocol.send(Reject(*request))

    def _drop_requests(self) -> None:
        while self._queue:
            self._reject(self._queue.popleft())
        self._queued_request_bytes = 0

    def _can_serve(self, request: Request, store: FileStore) -> bool:
        return (
            self._unchoked
            and request.piece in store.held
            and 0 < request.length <= MAX_BLOCK
            and request.begin + request.length <= store.info.piece_size(request.piece)
        )

    def _handle_cancel(self, cancel: Cancel) -> None:
        request = Request(*cancel)
        if self._sent_pieces is not None and cancel.piece < self._sent_pieces.size:
            # The peer may request the piece again, for instance after a wrong hash from another peer.
            self._sent_pieces.discard(cancel.piece)
            if cancel.piece == self._last_piece:
                self._last_piece = -1
        if request in self._queue:
            self._queue.remove(request)
            self._queued_request_bytes -= request.length
            self._reject(request)

    def _handle_metadata(self, metadata: Metadata) -> None:
        if metadata.kind is not MetadataKind.REQUEST:
            return
        raw = self._store.info.raw if self._store is not None else b""
        start = metadata.piece * METADATA_PIECE
        if start >= len(raw) or self._protocol.pending_bytes >= self.high_water + HIGH_WATER:
            self._protocol.send_metadata(Metadata(MetadataKind.REJECT, metadata.piece))
            return
        data = raw[start : start + METADATA_PIECE]
        self._protocol.send_metadata(Metadata(MetadataKind.DATA, metadata.piece, len(raw), data))
