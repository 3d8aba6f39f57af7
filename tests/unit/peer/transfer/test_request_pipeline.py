"""The open requests to one peer: blocks, replies, and the time to complete."""

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


def request_all(pipeline: RequestPipeline) -> list[Request]:
    """Send all requests that are left."""
    requests = []
    while (request := pipeline.next_request(BLOCK)) is not None:
        requests.append(request)
    return requests


def receive(
    pipeline: RequestPipeline, piece: int, begin: int, now: float = 0.0, length: int = BLOCK
) -> PartialPiece | None:
    partial = pipeline.receive_block(Block(piece, begin, memoryview(bytes([piece + 1]) * length)))
    if partial is not None:
        pipeline.measure(partial, now)
    return partial


def test_each_byte_of_a_piece_is_requested_once(pipeline: RequestPipeline) -> None:
    assert pipeline.next_request(BLOCK) is None
    pipeline.add_piece(3, PIECE + 100, 0.0)
    assert request_all(pipeline) == [Request(3, 0, BLOCK), Request(3, BLOCK, BLOCK), Request(3, PIECE, 100)]
    assert pipeline.in_flight == PIECE + 100
    assert 3 in pipeline
    assert pipeline.pieces == [3]


def test_blocks_may_arrive_in_any_order(pipeline: RequestPipeline) -> None:
    pipeline.add_piece(0, PIECE, 5.0)
    request_all(pipeline)
    assert not pipeline.has_data(0)
    first = receive(pipeline, 0, BLOCK)
    assert first is not None
    assert (first.missing, pipeline.has_data(0), pipeline.in_flight) == (BLOCK, True, BLOCK)
    last = receive(pipeline, 0, 0)
    assert last is first
    assert (last.missing, last.requested_at, last.data) == (0, 5.0, bytearray(b"\1" * PIECE))
    assert (pipeline.pieces, pipeline.requested, pipeline.in_flight) == ([], {}, 0)


def test_a_block_received_in_place_is_not_copied(pipeline: RequestPipeline) -> None:
    pipeline.add_piece(0, PIECE, 0.0)
    request_all(pipeline)
    assert pipeline.buffer_for(0, 0, BLOCK - 1) is None
    assert pipeline.buffer_for(1, 0, BLOCK) is None
    buffer = pipeline.buffer_for(0, BLOCK, BLOCK)
    assert buffer is not None
    buffer[:] = b"x" * BLOCK
    partial = pipeline.receive_block(Block(0, BLOCK, buffer))
    assert partial is not None
    assert partial.data == bytearray(BLOCK) + b"x" * BLOCK


def test_a_cancelled_block_may_arrive_or_be_rejected(pipeline: RequestPipeline) -> None:
    pipeline.add_piece(0, PIECE, 0.0)
    request_all(pipeline)
    assert pipeline.cancel_piece(0) == [Cancel(0, 0, BLOCK), Cancel(0, BLOCK, BLOCK)]
    assert (pipeline.pieces, pipeline.in_flight) == ([], 0)
    assert receive(pipeline, 0, 0) is None
    assert not pipeline.receive_reject(Reject(0, BLOCK, BLOCK))
    # Each block was expected once; more count as unrequested.
    for _ in range(MAX_UNREQUESTED_BLOCKS):
        assert receive(pipeline, 0, 0) is None
    with pytest.raises(SourceError, match=f"sent {MAX_UNREQUESTED_BLOCKS + 1} unrequested blocks"):
        receive(pipeline, 0, 0)


def test_a_rejected_block_is_no_longer_expected(pipeline: RequestPipeline) -> None:
    pipeline.add_piece(0, PIECE, 0.0)
    request_all(pipeline)
    assert not pipeline.receive_reject(Reject(0, 7, BLOCK))
    assert pipeline.receive_reject(Reject(0, 0, BLOCK))
    assert pipeline.in_flight == BLOCK
    pipeline.restart_piece(0)
    assert pipeline.in_flight == 0
    assert request_all(pipeline) == [Request(0, 0, BLOCK), Request(0, BLOCK, BLOCK)]


def test_after_a_choke_all_pieces_are_requested_again(pipeline: RequestPipeline) -> None:
    for piece in (0, 1):
        pipeline.add_piece(piece, PIECE, 0.0)
        request_all(pipeline)
    receive(pipeline, 0, 0)
    pipeline.restart()
    assert (pipeline.pieces, pipeline.requested, pipeline.in_flight) == ([0, 1], {}, 0)
    again = request_all(pipeline)
    assert [(request.piece, request.begin) for request in again] == [(1, 0), (1, BLOCK), (0, 0), (0, BLOCK)]


def test_a_block_of_the_wrong_length_is_refused(pipeline: RequestPipeline) -> None:
    pipeline.add_piece(0, PIECE, 0.0)
    request_all(pipeline)
    with pytest.raises(SourceError, match=f"sent a block of 9 bytes where {BLOCK} were requested"):
        receive(pipeline, 0, 0, length=9)


def test_the_time_to_complete_follows_the_measured_speed(pipeline: RequestPipeline) -> None:
    """The estimate decides from which second peer a piece is requested.

    That happens at the end of a download.
    """
    pipeline.add_piece(0, PIECE, 0.0)
    request_all(pipeline)
    assert pipeline.time_to_complete(0, 5.0) == math.inf
    assert pipeline.time_to_fetch(PIECE) == math.inf
    receive(pipeline, 0, 0, 10.0)
    receive(pipeline, 0, BLOCK, 12.0)
    # One block in two seconds after the first.
    assert pipeline.time_to_fetch(BLOCK) == pytest.approx(2.0)
    pipeline.add_piece(1, PIECE, 12.0)
    pipeline.add_piece(2, PIECE, 12.0)
    request_all(pipeline)
    assert pipeline.time_to_complete(1, 12.0) == pytest.approx(4.0)
    # Pieces arrive one after the other.
    assert pipeline.time_to_complete(2, 12.0) == pytest.approx(8.0)
    assert pipeline.time_to_fetch(BLOCK) == pytest.approx(10.0)
    receive(pipeline, 1, 0, 13.0)
    assert pipeline.time_to_complete(1, 13.0) == pytest.approx(2.0)
    # The estimate grows without further blocks.
    assert pipeline.time_to_complete(1, 20.0) == math.inf
    assert pipeline.time_to_complete(9, 20.0) == 0.0
