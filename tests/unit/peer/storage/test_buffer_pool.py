"""Piece buffers are reused, within a bound."""

from __future__ import annotations

from torrentnet.peer.storage.buffer_pool import MAX_FREE_BYTES, BufferPool


def test_the_last_released_buffer_is_acquired_first() -> None:
    pool = BufferPool()
    first, second = pool.acquire(1000), pool.acquire(1000)
    assert first is not second
    pool.release(first)
    pool.release(second)
    assert pool.acquire(1000) is second
    assert pool.acquire(1000) is first
    assert all(pool.acquire(1000) is not one for one in (first, second))


def test_a_buffer_of_another_size_is_not_reused() -> None:
    pool = BufferPool()
    pool.release(pool.acquire(1000))
    assert len(pool.acquire(10)) == 10


def test_the_pool_is_bounded() -> None:
    pool = BufferPool()
    size = MAX_FREE_BYTES // 2
    buffers = [pool.acquire(size) for _ in range(3)]
    for buffer in buffers:
        pool.release(buffer)
    again = [pool.acquire(size) for _ in range(3)]
    assert len({id(buffer) for buffer in buffers + again}) == 4
