"""Run disk and SHA-1 jobs in threads and deliver their results to the loop."""

from __future__ import annotations

import queue
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

from torrentnet.peer.storage.hashing import available_cpus
from torrentnet.runtime.signals import block_signals
from torrentnet.runtime.system import MACHINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.runtime.system import System, SystemThread

MAX_THREADS: Final = 2
"""One thread writes a piece while the other hashes the next; more threads would only compete for the caches."""
MAX_UNDELIVERED: Final = 8
"""Results for which the loop is woken while more jobs wait: a wake-up costs as much as a result."""

T = TypeVar("T")
Job: TypeAlias = "tuple[Callable[[], Any], Callable[[Any], None]]"


@dataclass(frozen=True, slots=True)
class JobFailure(Generic[T]):
    """The exception that a job raised."""

    error: Exception


class WorkerPool:
    """A few threads that run jobs; the callers limit how many jobs they submit.

    Jobs start in order and may finish in any order. A thread calls ``wake`` when no job or many results are waiting;
    the loop then calls :meth:`deliver_results`.
    """

    def __init__(self, wake: Callable[[], None], system: System = MACHINE) -> None:
        self._system = system
        self._wake = wake
        self._submitted: list[Job] = []
        self._jobs: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._results: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._wake_pending = False
        self._stopping = threading.Event()
        self._max_threads = min(MAX_THREADS, available_cpus())
        self._threads: list[SystemThread] = []

    def start(self) -> None:
        """Start one thread; the others are started when there is work for them."""
        self._threads.append(self._system.start_thread(self._run, f"disk-{len(self._threads)}"))

    def is_stopping(self) -> bool:
        """Return whether long jobs should be cancelled."""
        return self._stopping.is_set()

    def submit(self, job: Callable[[], T], callback: Callable[[T | JobFailure[T]], None]) -> None:
        """Run ``job`` in a worker thread, then ``callback`` in the event loop.

        The job begins after the next :meth:`start_submitted`.

        ``callback`` receives the result, or a :class:`JobFailure`.
        """
        self._submitted.append((job, callback))

    def start_submitted(self) -> None:
        """Start the submitted jobs, divided among the threads."""
        jobs = self._submitted
        if not jobs:
            return
        self._submitted = []
        each = -(-len(jobs) // self._max_threads)
        for first in range(0, len(jobs), each):
            self._jobs.put(jobs[first : first + each])
        if self._jobs.qsize() > 1 and 0 < len(self._threads) < self._max_threads and not self._stopping.is_set():
            self.start()

    def deliver_results(self) -> None:
        """Call the callbacks of the finished jobs."""
        # Cleared first, so that a result that is added after the last iteration wakes the loop again.
        self._wake_pending = False
        while self._results:
            callback, result = self._results.popleft()
            callback(result)

    def stop(self, timeout: float) -> None:
        """Wait at most ``timeout`` for the running jobs; drop the others."""
        self._stopping.set()
        for _ in self._threads:
            self._jobs.put(None)
        deadline = self._system.monotonic() + timeout
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - self._system.monotonic()))

    def _run(self) -> None:
        block_signals()
        while (jobs := self._jobs.get()) is not None:
            for job, callback in jobs:
                if self._stopping.is_set():
                    return
                # The loop reports any error; this thread continues.
                try:
                    result: Any = job()
                except Exception as error:
                    result = JobFailure(error)
                self._results.append((callback, result))
            if not self._wake_pending and (self._jobs.empty() or len(self._results) >= MAX_UNDELIVERED):
                self._wake_pending = True
                self._wake()
