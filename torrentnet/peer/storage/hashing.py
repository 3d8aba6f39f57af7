"""Hash the pieces of a file on all CPUs; hashlib releases the interpreter lock."""

from __future__ import annotations

import hashlib
import itertools
import os
import threading
from typing import TYPE_CHECKING, Final

from torrentnet.runtime.signals import block_signals
from torrentnet.runtime.system import MACHINE
from torrentnet.wire.info import HASH_SIZE, piece_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.runtime.system import System

CHUNK: Final = 256 * 1024
"""Bytes to read and hash at a time, whatever the piece length: the size of each thread's buffer."""
MAX_THREADS: Final = 8
MIN_PARALLEL_SIZE: Final = 8 * 1024 * 1024
"""Bytes of a file from which several threads hash it."""
NOT_HASHED: Final = bytes(HASH_SIZE)
"""Replaces the hash of a piece that was skipped or is incomplete; no piece has this SHA-1."""


class Cancelled(Exception):
    """A job was cancelled because the program ends."""


def available_cpus() -> int:
    """Return the number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


def hash_pieces(
    descriptor: int,
    length: int,
    piece_length: int,
    on_progress: Callable[[int, int], None],
    cancelled: Callable[[], bool],
    *,
    skip: Callable[[int, int], bool] = lambda offset, size: False,
    threads: int | None = None,
    system: System = MACHINE,
) -> bytearray:
    """Return the SHA-1 of each piece of an open file, concatenated, 20 bytes each.

    The hash is :data:`NOT_HASHED` where ``skip(offset, size)`` is true or the file ends within the piece.
    ``on_progress(done, total)``, in bytes, is called in the calling thread only, ``cancelled`` and ``skip`` in any.
    Raises :class:`Cancelled`, or :class:`OSError` if the file cannot be read.
    """
    pieces = piece_count(length, piece_length)
    digests = bytearray(HASH_SIZE * pieces)
    numbers = itertools.count()
    failures: list[BaseException] = []
    lock = threading.Lock()
    done = 0

    def work(report: Callable[[int, int], None] | None) -> None:
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
            if report is not None:
                report(now, length)

    def run_helper() -> None:
        block_signals()
        # Any error is raised again in the calling thread.
        try:
            work(None)
        except BaseException as error:
            failures.append(error)

    count = threads or (min(available_cpus(), MAX_THREADS) if length >= MIN_PARALLEL_SIZE else 1)
    helpers = [system.start_thread(run_helper, f"hash-{number}") for number in range(1, count)]
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
    """Return the SHA-1 of a range; None if the file ends before it."""
    digest = hashlib.sha1(usedforsecurity=False)
    end = offset + size
    while offset < end:
        count = os.preadv(descriptor, [buffer[: min(len(buffer), end - offset)]], offset)
        if not count:
            return None
        digest.update(buffer[:count])
        offset += count
    return digest.digest()
