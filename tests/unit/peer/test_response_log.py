"""A peer's own log is bounded, and is read while it is written."""

from __future__ import annotations

import itertools
import threading

from torrentnet.peer.response_log import ResponseEntry, ResponseLog


def test_entries_come_in_order_with_the_time_of_day() -> None:
    times = itertools.count(100)
    log = ResponseLog(lambda: float(next(times)))
    log.add("tracker", "myfile.txt: 5 bytes, complete at seed")
    log.add("seed", "piece 0", size=5, elapsed=0.25, verdict="verified")
    assert list(log.entries()) == [
        ResponseEntry(100.0, "tracker", "myfile.txt: 5 bytes, complete at seed"),
        ResponseEntry(101.0, "seed", "piece 0", 5, 0.25, "verified"),
    ]
    assert list(log.entries(1)) == [ResponseEntry(101.0, "seed", "piece 0", 5, 0.25, "verified")]
    assert len(list(log.entries(99))) == 2


def test_the_oldest_are_dropped_and_counted() -> None:
    log = ResponseLog(lambda: 0.0, limit=10)
    for number in range(25):
        log.add("seed", f"piece {number}")
    assert [entry.what for entry in log.entries()] == [f"piece {number}" for number in range(15, 25)]
    assert log.dropped == 15


def test_a_reader_sees_the_entries_of_its_start() -> None:
    log = ResponseLog(lambda: 0.0, limit=5_000)
    writing = threading.Event()

    def write() -> None:
        for number in range(50_000):
            log.add("seed", f"piece {number}")
            writing.set()

    writer = threading.Thread(target=write)
    writer.start()
    writing.wait(60)
    while writer.is_alive():
        numbers = [int(entry.what.split()[1]) for entry in log.entries()]
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
    writer.join()
