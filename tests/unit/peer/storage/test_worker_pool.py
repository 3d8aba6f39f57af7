"""Jobs run in threads, and each result is delivered once to the loop."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from torrentnet.peer.storage.worker_pool import JobFailure, WorkerPool

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE_S = 20.0


class Loop:
    """A loop that sleeps until the pool wakes it."""

    def __init__(self) -> None:
        self.woken = threading.Semaphore(0)
        self.wakes = 0
        self.pool = WorkerPool(self._wake)
        self.pool.start()

    def _wake(self) -> None:
        self.wakes += 1
        self.woken.release()

    def run_once(self) -> None:
        self.pool.start_submitted()
        assert self.woken.acquire(timeout=DEADLINE_S), "no thread woke the loop"
        self.pool.deliver_results()


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.pool.stop(DEADLINE_S)


def test_each_result_is_delivered_once_in_few_wake_ups(loop: Loop) -> None:
    results: list[int | JobFailure[int]] = []
    for number in range(100):
        loop.pool.submit(lambda number=number: number, results.append)  # type: ignore[misc]  # mypy has no type for it
    while len(results) < 100:
        loop.run_once()
    assert sorted(result for result in results if isinstance(result, int)) == list(range(100))
    assert loop.wakes < 50


def test_a_single_job_wakes_the_loop(loop: Loop) -> None:
    results: list[int | JobFailure[int]] = []
    for number in range(200):
        loop.pool.submit(lambda: 1, results.append)
        loop.run_once()
        while len(results) <= number:
            loop.run_once()
    assert results == [1] * 200


def test_a_result_does_not_wait_for_another_threads_job(loop: Loop) -> None:
    may_end = threading.Event()
    results: list[str] = []
    try:
        loop.pool.submit(may_end.wait, lambda _: results.append("slow"))
        loop.pool.submit(lambda: None, lambda _: results.append("quick"))
        loop.run_once()
        assert results == ["quick"]
    finally:
        may_end.set()
    loop.run_once()
    assert results == ["quick", "slow"]


def test_a_failed_job_is_reported_and_the_next_one_runs(loop: Loop) -> None:
    def fails() -> int:
        raise ValueError("no such piece")

    results: list[int | JobFailure[int]] = []
    loop.pool.submit(fails, results.append)
    loop.pool.submit(lambda: 2, results.append)
    while len(results) < 2:
        loop.run_once()
    (failure,) = (result for result in results if isinstance(result, JobFailure))
    assert str(failure.error) == "no such piece"
    assert 2 in results


def test_stopping_drops_jobs_that_have_not_started(loop: Loop) -> None:
    started, may_end = threading.Barrier(3), threading.Event()
    done: list[str] = []

    def job() -> None:
        started.wait(DEADLINE_S)
        may_end.wait(DEADLINE_S)

    for _ in range(2):
        loop.pool.submit(job, lambda _: done.append("started"))
    loop.pool.start_submitted()
    try:
        started.wait(DEADLINE_S)
        loop.pool.submit(lambda: done.append("late"), lambda _: done.append("late"))
        loop.pool.start_submitted()
        assert not loop.pool.is_stopping()
        loop.pool.stop(0.0)
        assert loop.pool.is_stopping()
    finally:
        may_end.set()
    loop.pool.stop(DEADLINE_S)
    assert "late" not in done
