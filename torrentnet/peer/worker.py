"""Disk and SHA-1 beside the loop: jobs run one after the other in a thread, results come back into the loop."""

from __future__ import annotations

import queue
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from torrentnet.console.threads import block_signals

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Failure(Generic[T]):
    """A job raised this instead of returning."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


class Worker:
    """One thread. What is submitted is bounded by those who submit (see ``MAX_VERIFYING``).

    ``wake`` is called from the thread when a result waits; the loop then calls :meth:`deliver`.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None]] | None] = queue.SimpleQueue()
        self._results: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="disk", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def cancelled(self) -> bool:
        """Whether long jobs are to be given up."""
        return self._stopping.is_set()

    def submit(self, job: Callable[[], T], then: Callable[[T | Failure[T]], None]) -> None:
        """Run ``job`` in the thread, then ``then`` with its result (or :class:`Failure`) in the loop."""
        self._jobs.put((job, then))

    def deliver(self) -> None:
        """Run what waits for the loop."""
        while self._results:
            then, result = self._results.popleft()
            then(result)

    def stop(self, timeout: float) -> None:
        """Finish the job under way, at most ``timeout`` seconds; the others are dropped."""
        self._stopping.set()
        self._jobs.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        block_signals()
        while (task := self._jobs.get()) is not None and not self._stopping.is_set():
            job, then = task
            # Whatever it is, it is told to a person in the loop; the thread goes on.
            try:
                result: Any = job()
            except Exception as error:
                result = Failure(error)
            self._results.append((then, result))
            self._wake()
