"""What is asked of one peer: in which blocks, what comes of it, and how long it will take."""

from __future__ import annotations

import math

import pytest

from torrentnet.peer.scheduling.rate_meter import RateMeter
from torrentnet.peer.storage.buffer_pool import BufferPool
from torrentnet.peer.transfer.metadata_exchange import SourceError
from torrentnet.peer.transfer.request_pipeline import MAX_UNREQUESTED_BLOCKS, PartialPiece, RequestPipeline
from torrentnet.wire.peer.messages import BLOCK, Block, Cancel, Reject, Request

PIECE = 2 * BLOCK


@pytest.fixture
def pipeline() -> RequestPipeline:
    return RequestPipeline(BufferPool(), RateMeter())


def asked(pipeline: RequestPipeline) -> list[Request]:
    """Everything that there is to be asked for."""
    requests = []
    while (request := pipeline.next_request(BLOCK)) is not None:
        requests.append(request)
    return requests


def come(
    pipeline: RequestPipeline, piece: int, begin: int, now: float = 0.0, length: int = BLOCK
) -> PartialPiece | None:
    partial = pipeline.receive_block(Block(piece, begin, memoryview(bytes([piece + 1]) * length)))
    if partial is not None:
        pipeline.measure(partial, now)
    return partial


def test_every_byte_of_a_piece_is_asked_for_once(pipeline: RequestPipeline) -> None:
    assert pipeline.next_request(BLOCK) is None
    pipeline.add_piece(3, PIECE + 100, 0.0)
    assert asked(pipeline) == [Request(3, 0, BLOCK), Request(3, BLOCK, BLOCK), Request(3, PIECE, 100)]
    assert pipeline.in_flight == PIECE + 100
    assert 3 in pipeline
    assert pipeline.pieces == [3]


def test_a_piece_is_whole_with_its_last_block_in_whatever_order_they_come(pipeline: RequestPipeline) -> None:
    pipeline.add_piece(0, PIECE, 5.0)
    asked(pipeline)
    assert not pipeline.has_data(0)
    first = come(pipeline, 0, BLOCK)
    assert first is not None
    assert (first.missing, pipeline.has_data(0), pipeline.in_flight) == (BLOCK, True, BLOCK)
    last = come(pipeline, 0, 0)
    assert last is first
    assert (last.missing, last.requested_at, last.data) == (0, 5.0, bytearray(b"\1" * PIECE))
    assert (pipeline.pieces, pipeline.requested, pipeline.in_flight) == ([], {}, 0)


def test_a_block_that_was_received_in_its_place_is_there_already(pipeline: RequestPipeline) -> None:
    pipeline.add_piece(0, PIECE, 0.0)
    asked(pipeline)
    assert pipeline.buffer_for(0, 0, BLOCK - 1) is None
    assert pipeline.buffer_for(1, 0, BLOCK) is None
    place = pipeline.buffer_for(0, BLOCK, BLOCK)
    assert place is not None
    place[:] = b"x" * BLOCK
    partial = pipeline.receive_block(Block(0, BLOCK, place))
    assert partial is not None
    assert partial.data == bytearray(BLOCK) + b"x" * BLOCK


def test_what_is_cancelled_may_come_and_be_refused_all_the_same(pipeline: RequestPipeline) -> None:
    pipeline.add_piece(0, PIECE, 0.0)
    asked(pipeline)
    assert pipeline.cancel_piece(0) == [Cancel(0, 0, BLOCK), Cancel(0, BLOCK, BLOCK)]
    assert (pipeline.pieces, pipeline.in_flight) == ([], 0)
    assert come(pipeline, 0, 0) is None
    assert not pipeline.receive_reject(Reject(0, BLOCK, BLOCK))
    # Each was expected once; more of it is what nobody asked for.
    for _ in range(MAX_UNREQUESTED_BLOCKS):
        assert come(pipeline, 0, 0) is None
    with pytest.raises(SourceError, match=f"sent {MAX_UNREQUESTED_BLOCKS + 1} unrequested blocks"):
        come(pipeline, 0, 0)


def test_a_refused_block_is_not_waited_for(pipeline: RequestPipeline) -> None:
    pipeline.add_piece(0, PIECE, 0.0)
    asked(pipeline)
    assert not pipeline.receive_reject(Reject(0, 7, BLOCK))
    assert pipeline.receive_reject(Reject(0, 0, BLOCK))
    assert pipeline.in_flight == BLOCK
    pipeline.restart_piece(0)
    assert pipeline.in_flight == 0
    assert asked(pipeline) == [Request(0, 0, BLOCK), Request(0, BLOCK, BLOCK)]


def test_after_a_choke_all_is_asked_for_again_the_newest_first(pipeline: RequestPipeline) -> None:
    for piece in (0, 1):
        pipeline.add_piece(piece, PIECE, 0.0)
        asked(pipeline)
    come(pipeline, 0, 0)
    pipeline.restart()
    assert (pipeline.pieces, pipeline.requested, pipeline.in_flight) == ([0, 1], {}, 0)
    assert [(request.piece, request.begin) for request in asked(pipeline)] == [(1, 0), (1, BLOCK), (0, 0), (0, BLOCK)]


def test_a_block_of_another_length_is_no_answer(pipeline: RequestPipeline) -> None:
    pipeline.add_piece(0, PIECE, 0.0)
    asked(pipeline)
    with pytest.raises(SourceError, match=f"sent a block of 9 bytes where {BLOCK} were requested"):
        come(pipeline, 0, 0, length=9)


def test_how_long_a_piece_will_take_is_told_by_how_fast_the_last_ones_came(pipeline: RequestPipeline) -> None:
    """At the end that decides of whom it is asked as well: queues and slow uplinks look alike until something comes."""
    pipeline.add_piece(0, PIECE, 0.0)
    asked(pipeline)
    assert pipeline.time_to_complete(0, 5.0) == math.inf
    assert pipeline.time_to_fetch(PIECE) == math.inf
    come(pipeline, 0, 0, 10.0)
    come(pipeline, 0, BLOCK, 12.0)
    # A block in two seconds, once it had begun.
    assert pipeline.time_to_fetch(BLOCK) == pytest.approx(2.0)
    pipeline.add_piece(1, PIECE, 12.0)
    pipeline.add_piece(2, PIECE, 12.0)
    asked(pipeline)
    assert pipeline.time_to_complete(1, 12.0) == pytest.approx(4.0)
    # Pieces come one after the other.
    assert pipeline.time_to_complete(2, 12.0) == pytest.approx(8.0)
    assert pipeline.time_to_fetch(BLOCK) == pytest.approx(10.0)
    come(pipeline, 1, 0, 13.0)
    assert pipeline.time_to_complete(1, 13.0) == pytest.approx(2.0)
    # Nothing more comes: it looks worse from moment to moment, and from the beginning no better than it was.
    assert pipeline.time_to_complete(1, 20.0) == math.inf
    assert pipeline.time_to_complete(9, 20.0) == 0.0
