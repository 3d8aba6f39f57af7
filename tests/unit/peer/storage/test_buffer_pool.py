"""Memory for pieces is used again, and not hoarded."""

from __future__ import annotations

from torrentnet.peer.storage.buffer_pool import MAX_FREE_BYTES, BufferPool


def test_what_was_given_back_last_is_taken_first() -> None:
    memory = BufferPool()
    first, second = memory.acquire(1000), memory.acquire(1000)
    assert first is not second
    memory.release(first)
    memory.release(second)
    assert memory.acquire(1000) is second
    assert memory.acquire(1000) is first
    assert all(memory.acquire(1000) is not one for one in (first, second))


def test_the_last_piece_is_shorter_and_gets_memory_of_its_own_size() -> None:
    memory = BufferPool()
    memory.release(memory.acquire(1000))
    assert len(memory.acquire(10)) == 10


def test_no_more_is_kept_than_its_bound() -> None:
    memory = BufferPool()
    size = MAX_FREE_BYTES // 2
    lent = [memory.acquire(size) for _ in range(3)]
    for one in lent:
        memory.release(one)
    taken = [memory.acquire(size) for _ in range(3)]
    assert sum(any(one is other for other in lent) for one in taken) == 2
