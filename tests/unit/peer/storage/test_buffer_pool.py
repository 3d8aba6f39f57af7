"""Piece buffers are reused, within a bound."""

from __future__ import annotations

from torrentnet.peer.storage.buffer_pool import MAX_FREE_BYTES, BufferPool


def test_the_last_released_buffer_is_acquired_first() -> None:
    memory = BufferPool()
    first, second = memory.acquire(1000), memory.acquire(1000)
    assert first is not second
    memory.release(first)
    memory.release(second)
    assert memory.acquire(1000) is second
    assert memory.acquire(1000) is first
    assert all(memory.acquire(1000) is not one for one in (first, second))


def test_a_buffer_of_another_size_is_not_reused() -> None:
    memory = BufferPool()
    memory.release(memory.acquire(1000))
    assert len(memory.acquire(10)) == 10


def test_the_pool_is_bounded() -> None:
    memory = BufferPool()
    size = MAX_FREE_BYTES // 2
    lent = [memory.acquire(size) for _ in range(3)]
    for one in lent:
        memory.release(one)
    taken = [memory.acquire(size) for _ in range(3)]
    assert sum(any(one is other for other in lent) for one in taken) == 2
