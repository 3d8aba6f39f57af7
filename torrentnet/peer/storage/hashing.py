"""SHA-1 of all pieces of a file, by all processors: hashlib lets go of the interpreter while it works."""

from __future__ import annotations

import hashlib
import itertools
import os
import threading
from typing import TYPE_CHECKING

from torrentnet.runtime.signals import block_signals
from torrentnet.wire.info import HASH_SIZE, piece_count

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 256 * 1024
"""Bytes that are read and hashed at a time; each thread has that much memory, however long the pieces are."""
MAX_THREADS = 8
MIN_PARALLEL_SIZE = 8 * 1024 * 1024
"""Bytes of a file below which one thread is enough."""
NOT_HASHED = bytes(HASH_SIZE)
"""Stands for a piece that was left out, or is not whole; no piece has this SHA-1."""


class Cancelled(Exception):
    """Work on a file was given up because the program ends."""


def available_cpus() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def hash_pieces(
    descriptor: int,
    length: int,
    piece_length: int,
    on_progress: Callable[[int, int], None],
    cancelled: Callable[[], bool],
    *,
    skip: Callable[[int, int], bool] = lambda offset, size: False,
    threads: int | None = None,
) -> bytearray:
    """The SHA-1 of each piece of an open file, one behind the other, 20 bytes each.

    :data:`NOT_HASHED` stands where ``skip`` (offset, size) said so, and where the file ended too early. ``progress``
    hears (bytes done, bytes in all), in the calling thread only; ``cancelled`` and ``skip`` are called from several.
    Raises :class:`Cancelled`, and :class:`OSError` when the file cannot be read.
    """
    pieces = piece_count(length, piece_length)
    digests = bytearray(HASH_SIZE * pieces)
    numbers = itertools.count()
    failures: list[BaseException] = []
    lock = threading.Lock()
    done = 0

    def work(tell: Callable[[int, int], None] | None) -> None:
        nonlocal done
        buffer = memoryview(bytearray(min(CHUNK, max(length, 1))))
        while not failures and (piece := next(numbers)) < pieces:
            if cancelled():
                raise Cancelled
            offset = piece * piece_length
            size = min(piece_length, length - offset)
            digest = None if skip(offset, size) else _digest(descriptor, offset, size, buffer)
            if digest is not None:
                digests[piece * HASH_SIZE : (piece + 1) * HASH_SIZE] = digest
            with lock:
                done += size
                now = done
            if tell is not None:
                tell(now, length)

    def help_out() -> None:
        block_signals()
        # Whatever it is, it is raised in the calling thread.
        try:
            work(None)
        except BaseException as error:
            failures.append(error)

    wanted = threads or (min(available_cpus(), MAX_THREADS) if length >= MIN_PARALLEL_SIZE else 1)
    helpers = [threading.Thread(target=help_out, name=f"hash-{number}", daemon=True) for number in range(1, wanted)]
    for helper in helpers:
        helper.start()
    try:
        work(on_progress)
    except BaseException as error:
        failures.append(error)
    for helper in helpers:
        helper.join()
    if failures:
        raise failures[0]
    return digests


def _digest(descriptor: int, offset: int, size: int, buffer: memoryview) -> bytes | None:
    """None where the file ends before the piece does."""
    digest = hashlib.sha1(usedforsecurity=False)
    end = offset + size
    while offset < end:
        count = os.preadv(descriptor, [buffer[: min(len(buffer), end - offset)]], offset)
        if not count:
            return None
        digest.update(buffer[:count])
        offset += count
    return digest.digest()
