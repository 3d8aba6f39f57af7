"""Jobs run beside the loop, and each result is delivered once."""

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
        self.worker = WorkerPool(self._wake)
        self.worker.start()

    def _wake(self) -> None:
        self.wakes += 1
        self.woken.release()

    def turn(self) -> None:
        self.worker.start_submitted()
        assert self.woken.acquire(timeout=DEADLINE_S), "nobody woke the loop up"
        self.worker.deliver_results()


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.worker.stop(DEADLINE_S)


def test_each_result_is_delivered_once_in_few_wake_ups(loop: Loop) -> None:
    results: list[int | JobFailure[int]] = []
    for number in range(100):
        loop.worker.submit(lambda number=number: number, results.append)  # type: ignore[misc]  # mypy has no type for it
    while len(results) < 100:
        loop.turn()
    assert sorted(result for result in results if isinstance(result, int)) == list(range(100))
    assert loop.wakes < 50


def test_a_single_job_wakes_the_loop(loop: Loop) -> None:
    results: list[int | JobFailure[int]] = []
    for number in range(200):
        loop.worker.submit(lambda: 1, results.append)
        loop.turn()
        while len(results) <= number:
            loop.turn()
    assert results == [1] * 200


def test_a_result_does_not_wait_for_another_threads_job(loop: Loop) -> None:
    goes_on = threading.Event()
    results: list[str] = []
    try:
        loop.worker.submit(goes_on.wait, lambda _: results.append("slow"))
        loop.worker.submit(lambda: None, lambda _: results.append("quick"))
        loop.turn()
        assert results == ["quick"]
    finally:
        goes_on.set()
    loop.turn()
    assert results == ["quick", "slow"]


def test_a_failed_job_is_reported_and_the_next_one_runs(loop: Loop) -> None:
    def fails() -> int:
        raise ValueError("no such piece")

    results: list[int | JobFailure[int]] = []
    loop.worker.submit(fails, results.append)
    loop.worker.submit(lambda: 2, results.append)
    while len(results) < 2:
        loop.turn()
    (failure,) = (result for result in results if isinstance(result, JobFailure))
    assert str(failure.error) == "no such piece"
    assert 2 in results


def test_stopping_drops_jobs_that_have_not_started(loop: Loop) -> None:
    begun, goes_on = threading.Barrier(3), threading.Event()
    done: list[str] = []

    def job() -> None:
        begun.wait(DEADLINE_S)
        goes_on.wait(DEADLINE_S)

    for _ in range(2):
        loop.worker.submit(job, lambda _: done.append("begun"))
    loop.worker.start_submitted()
    try:
        begun.wait(DEADLINE_S)
        loop.worker.submit(lambda: done.append("late"), lambda _: done.append("late"))
        loop.worker.start_submitted()
        assert not loop.worker.is_stopping()
        loop.worker.stop(0.0)
        assert loop.worker.is_stopping()
    finally:
        goes_on.set()
    loop.worker.stop(DEADLINE_S)
    assert "late" not in done
