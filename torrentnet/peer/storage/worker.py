"""Disk and SHA-1 beside the loop: jobs run in threads, and their results come back into the loop."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from torrentnet.peer.storage.hashing import available_cpus
from torrentnet.runtime.signals import block_signals

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
Job: TypeAlias = "tuple[Callable[[], Any], Callable[[Any], None]]"


class JobFailure(Generic[T]):
    """A job raised this instead of returning."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


MAX_THREADS = 2
"""While one writes a piece the other one hashes the next; more only take each other's caches."""
MAX_UNDELIVERED = 8
"""Results that wait for more before the loop is woken up: each time that a loop wakes up costs as much as a result."""


class Worker:
    """A few threads. What is submitted is bounded by those who submit (see ``MAX_VERIFYING``).

    Jobs begin in order and may end in any: whoever needs one to be over waits for its result. ``wake`` is called from
    a thread when no job waits any more, or many results do; the loop then calls :meth:`deliver`.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._submitted: list[Job] = []
        self._jobs: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._results: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._wake_pending = False
        self._stopping = threading.Event()
        self._max_threads = min(MAX_THREADS, available_cpus())
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to work, with one thread; the others follow when there is work for them."""
        thread = threading.Thread(target=self._run, name=f"disk-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def is_stopping(self) -> bool:
        """Whether long jobs are to be given up."""
        return self._stopping.is_set()

    def submit(self, job: Callable[[], T], callback: Callable[[T | JobFailure[T]], None]) -> None:
        """Run ``job`` in a thread, then ``then`` with its result (or :class:`JobFailure`) in the loop.

        It begins with the next :meth:`hand_over`.
        """
        self._submitted.append((job, callback))

    def start_submitted(self) -> None:
        """Let what was submitted begin: as many lists of jobs as there may be threads."""
        fresh = self._submitted
        if not fresh:
            return
        self._submitted = []
        each = -(-len(fresh) // self._max_threads)
        for first in range(0, len(fresh), each):
            self._jobs.put(fresh[first : first + each])
        if self._jobs.qsize() > 1 and 0 < len(self._threads) < self._max_threads and not self._stopping.is_set():
            self.start()

    def deliver_results(self) -> None:
        """Run what waits for the loop."""
        # Before the first look, so that what comes after the last one wakes the loop up again.
        self._wake_pending = False
        while self._results:
            then, result = self._results.popleft()
            then(result)

    def stop(self, timeout: float) -> None:
        """Finish the jobs under way, at most ``timeout`` seconds; the others are dropped."""
        self._stopping.set()
        for _ in self._threads:
            self._jobs.put(None)
        until = time.monotonic() + timeout
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        block_signals()
        while (jobs := self._jobs.get()) is not None:
            for job, then in jobs:
                if self._stopping.is_set():
                    return
                # Whatever it is, it is told to a person in the loop; this thread goes on.
                try:
                    result: Any = job()
                except Exception as error:
                    result = JobFailure(error)
                self._results.append((then, result))
            if not self._wake_pending and (self._jobs.empty() or len(self._results) >= MAX_UNDELIVERED):
                self._wake_pending = True
                self._wake()
