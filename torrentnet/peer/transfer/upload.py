"""Serving pieces over one connection: whoever is interested gets them, within bounds. No socket in here."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from torrentnet.peer.transfer.protocol import Credit, FileSpan
from torrentnet.peer.transfer.remote_pieces import RemotePieces
from torrentnet.wire.errors import PeerProtocolError
from torrentnet.wire.peer.extension_protocol import (
    MAX_REQUESTS,
    METADATA_PIECE,
    ExtensionHandshake,
    Metadata,
    MetadataKind,
)
from torrentnet.wire.peer.handshake import Handshake
from torrentnet.wire.peer.messages import (
    MAX_BLOCK,
    Bitfield,
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

HIGH_WATER = 512 * 1024
"""Bytes on their way out past which requests wait: a cancel then still finds them."""
MAX_QUEUE = 2 * MAX_REQUESTS
MAX_REJECTED = 300
"""Requests that cannot be met before the connection is closed."""
HANDSHAKE_TIMEOUT = 10.0
IDLE_TIMEOUT = 150.0
"""BEP 3: peers say something about every two minutes."""
DRAIN_TIMEOUT = 60.0
"""Seconds in which a peer that asked for data must take some of it."""
CREDIT_GRACE = 0.1
"""Seconds for which an offer counts as good as asked for: from then on the next one gets its turn meanwhile."""
CREDIT_TIMEOUT = 5.0
"""Seconds after which an offer that was not answered holds the uplink up no longer."""


class Upload:
    """The serving side of one protocol.

    ``store`` is None while there is nothing to serve yet. Who takes offers (``tn_offer``) asks for one piece after
    each; who does not is served what it asks for, and where turns are taken (:attr:`in_turns`), a piece's worth a turn.
    """

    def __init__(self, protocol: PeerProtocol, store: FileStore | None, now: float) -> None:
        self._protocol = protocol
        self._store: FileStore | None = None
        self.remote_pieces = RemotePieces()
        """What the other side holds."""
        self._queue: deque[Request] = deque()
        self._queued_request_bytes = 0
        self._initial_state_sent = False
        self._unchoked = False
        self._interested = False
        self._rejected = 0
        self._received_at = now
        self._sent_at = now
        self._sent_before = 0
        self._unsent_haves: list[int] = []
        self._sent_pieces: PieceSet | None = None
        self._open_credits = 0
        self._credited_at = now
        self._last_piece = -1
        self._turn_bytes = 0
        self.high_water = HIGH_WATER
        """Bytes on their way out past which requests wait; less where turns are taken."""
        self.choking = False
        """Whether requests of a peer that takes no offers wait for :meth:`give_turn` too."""
        self.waiting_since = now
        """When it last got a turn, or began to want one."""
        self.sent_blocks = 0
        self.queued_bytes = 0
        """Bytes of blocks handed to the protocol so far."""
        if store is not None:
            self.open(store)

    def open(self, store: FileStore) -> None:
        """There is something to serve now. Raises :class:`PeerProtocolError` when what the other said does not fit."""
        self._store = store
        self._sent_pieces = PieceSet(store.info.pieces)
        if self._initial_state_sent:
            # Whoever lacks the info dictionary may ask for it here from now on.
            self._protocol.send_extension_handshake(len(store.info.raw))
        self.remote_pieces.set_piece_count(store.info.pieces)
        if self._protocol.remote_handshake is not None:
            self._send_held(store.held)

    def _send_held(self, held: PieceSet) -> None:
        # The introduction said that nothing is here; an earlier run may have left some.
        extension = self._protocol.remote_extension
        if extension is not None and extension.makes_offers:
            if len(held):
                self._protocol.send(Bitfield(held.bitfield()))
            return
        # Others take a bitfield only in the beginning (BEP 3).
        for piece in held:
            self._protocol.send(Have(piece))

    @property
    def interested(self) -> bool:
        """Whether the other side wants what is here."""
        return self._interested

    @property
    def has_requests(self) -> bool:
        """Whether requests wait."""
        return bool(self._queue)

    @property
    def backlog(self) -> int:
        """Bytes that the other side has asked for, and got a turn for, and that have not left."""
        queued = (
            min(self._queued_request_bytes, max(0, self._turn_bytes))
            if self._needs_turn
            else self._queued_request_bytes
        )
        return self._protocol.pending_bytes + queued

    def promised_bytes(self, now: float) -> int:
        """Bytes that it was offered just now and may ask for at any moment."""
        if not self._open_credits or self._store is None or now - self._credited_at > CREDIT_GRACE:
            return 0
        return self._open_credits * self._store.info.piece_length

    @property
    def pieces_held(self) -> int:
        """Pieces that the other side holds, has been or is being sent from here, or was promised."""
        held, given = self.remote_pieces.held, self._sent_pieces
        if given is None or not self._protocol.remote_uses_credits:
            # A real client asks for far more at once than it is being sent.
            return (len(held) if held is not None else 0) + self._open_credits
        return (given.union_size(held) if held is not None else len(given)) + self._open_credits

    @property
    def can_send(self) -> bool:
        """Whether requests wait that the connection has room for."""
        return self.has_granted_requests and self._protocol.pending_bytes < self.high_water

    @property
    def has_granted_requests(self) -> bool:
        """Whether requests wait that need no further turn."""
        return bool(self._queue) and not (self._needs_turn and self._turn_bytes <= 0)

    @property
    def _needs_turn(self) -> bool:
        return self.choking and not self._protocol.remote_uses_credits

    def wants_turn(self, now: float, max_bytes: int) -> bool:
        """Whether it is to be considered for the next turn: not while ``most`` bytes are promised or on their way."""
        if self._needs_turn:
            return bool(self._queue) and self._turn_bytes <= 0
        store, given = self._store, self._sent_pieces
        if store is None or given is None or not self._interested or not self._protocol.remote_uses_credits:
            return False
        if self._open_credits and now - self._credited_at > CREDIT_TIMEOUT:
            # Not there, or not ready: it is offered something again, but others had their turns meanwhile.
            self._open_credits = 0
        if self._open_credits and now - self._credited_at > CREDIT_GRACE:
            return False
        if self._open_credits * store.info.piece_length + self.backlog >= max_bytes:
            return False
        held = self.remote_pieces.held
        return store.held.has_piece_beyond(given) if held is None else store.held.has_piece_beyond(given, held)

    def grant_turn(self, now: float) -> int:
        """Let it have a piece; returns the bytes that this promises."""
        assert self._store is not None
        length = self._store.info.piece_length
        self.waiting_since = now
        if self._needs_turn:
            self._turn_bytes += length
            return min(length, self._queued_request_bytes)
        # What is offered must be known to be here.
        self.send_haves()
        self._protocol.send_credit()
        self._open_credits += 1
        self._credited_at = now
        return length

    def handle(self, event: PeerProtocolEvent, now: float) -> None:
        """React to what the other side said. Raises :class:`PeerProtocolError` when it abuses us."""
        self._received_at = now
        if self._protocol.pending_bytes > self.high_water + 2 * HIGH_WATER:
            raise PeerProtocolError("asks and asks, and takes none of the answers")
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
            if not self._interested:
                self._interested, self.waiting_since = True, now
            if not self._unchoked:
                self._unchoked = True
                self._protocol.send(Unchoke())
        elif isinstance(event, NotInterested):
            self._interested = False
            self._open_credits = 0
            if not self._protocol.remote_uses_credits:
                # From those who take them it only means that there is no use for an offer now.
                self._drop_requests()
        elif isinstance(event, Metadata):
            self._handle_metadata(event)
        elif not isinstance(event, (ExtensionHandshake, Credit)):
            self.remote_pieces.handle(event)

    def queue_have(self, piece: int) -> None:
        """Note that a piece is here now (BEP 3: only once it is verified); :meth:`say_haves` tells it."""
        if self._protocol.remote_handshake is not None:
            self._unsent_haves.append(piece)

    def send_haves(self) -> None:
        """Tell the other side of the pieces that came since: many in one packet where they come fast."""
        for piece in self._unsent_haves:
            self._protocol.send(Have(piece))
        self._unsent_haves.clear()

    def fill_output(self) -> None:
        """Move waiting requests to the output, as far as there is room."""
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

    def expiry_reason(self, now: float) -> str | None:
        """Why the connection is to be closed by now, if it is."""
        waiting = self._protocol.pending_bytes
        sent = self._protocol.sent_bytes
        if sent != self._sent_before or not waiting:
            self._sent_before, self._sent_at = sent, now
        if self._protocol.remote_handshake is None and now - self._received_at > HANDSHAKE_TIMEOUT:
            return "no handshake"
        if now - self._received_at > IDLE_TIMEOUT and not waiting:
            return "idle"
        if now - self._sent_at > DRAIN_TIMEOUT:
            return "takes no data"
        return None

    def _handle_request(self, request: Request, now: float) -> None:
        store = self._store
        if store is not None and self._can_serve(request, store):
            if not self._queue:
                self.waiting_since = max(self.waiting_since, now)
            self._queue.append(request)
            self._queued_request_bytes += request.length
            self._interested = True
            if request.piece != self._last_piece:
                self._last_piece = request.piece
                self._open_credits = max(0, self._open_credits - 1)
                if self._sent_pieces is not None:
                    self._sent_pieces.add(request.piece)
            return
        self._rejected += 1
        if self._rejected > MAX_REJECTED:
            raise PeerProtocolError(f"{self._rejected} requests that cannot be met")
        if self._protocol.fast:
            self._protocol.send(Reject(*request))

    def _drop_requests(self) -> None:
        while self._queue:
            request = self._queue.popleft()
            # BEP 6: every request is answered exactly once.
            if self._protocol.fast:
                self._protocol.send(Reject(*request))
        self._queued_request_bytes = 0

    def _can_serve(self, request: Request, store: FileStore) -> bool:
        return (
            self._unchoked
            and request.piece in store.held
            and 0 < request.length <= MAX_BLOCK
            and request.begin + request.length <= store.info.piece_size(request.piece)
            and len(self._queue) < MAX_QUEUE
        )

    def _handle_cancel(self, cancel: Cancel) -> None:
        request = Request(*cancel)
        if self._sent_pieces is not None and cancel.piece < self._sent_pieces.size:
            # It may be wanted again, for instance when what came from another peer had a wrong hash.
            self._sent_pieces.discard(cancel.piece)
            if cancel.piece == self._last_piece:
                self._last_piece = -1
        if request not in self._queue:
            return
        self._queue.remove(request)
        self._queued_request_bytes -= request.length
        # BEP 6: every request is answered exactly once, a cancelled one too.
        if self._protocol.fast:
            self._protocol.send(Reject(*request))

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
