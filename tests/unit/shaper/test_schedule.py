"""The schedule in virtual time."""

from __future__ import annotations

from torrentnet.shaper.netlink import QueuedPacket
from torrentnet.shaper.schedule import PacketRelease, PacketSchedule, QueueStatistics
from torrentnet.shaper.state import QueueImpairment, ShaperState

MS = 1_000_000
BYTES = bytes([0x45, *[0] * 19, *range(40)])


def arrived(number: int, queue: int = 1, payload: bytes | None = None) -> QueuedPacket:
    return QueuedPacket(queue, number, None, payload)


def numbers(schedule: PacketSchedule, now: int) -> list[int | None]:
    return [release.number for release in schedule.due(now)]


def drain(schedule: PacketSchedule) -> list[tuple[int, PacketRelease]]:
    """Return all packets, each with the time at which it was released."""
    done = []
    while (now := schedule.next_due()) is not None:
        done += [(now, release) for release in schedule.due(now)]
    return done


def test_a_packet_is_due_after_its_delay() -> None:
    schedule = PacketSchedule(ShaperState({1: QueueImpairment(delay_ns=20 * MS)}))
    schedule.arrive(arrived(5), 1000)
    assert schedule.next_due() == 1000 + 20 * MS
    assert numbers(schedule, 999 + 20 * MS) == []
    assert list(schedule.due(1000 + 20 * MS)) == [PacketRelease(1, 5, 1000 + 20 * MS, None)]
    assert schedule.next_due() is None


def test_each_queue_has_its_own_delay() -> None:
    schedule = PacketSchedule(ShaperState({1: QueueImpairment(delay_ns=50 * MS), 2: QueueImpairment(delay_ns=20 * MS)}))
    for queue in (1, 2, 3):
        schedule.arrive(arrived(queue, queue), 0)
    assert numbers(schedule, 0) == [3]
    assert numbers(schedule, 20 * MS) == [2]
    assert numbers(schedule, 50 * MS) == [1]


def test_packets_of_one_delay_keep_their_order() -> None:
    schedule = PacketSchedule(ShaperState({1: QueueImpairment(delay_ns=MS)}))
    for number in range(100):
        schedule.arrive(arrived(number), 7)
    assert numbers(schedule, 7 + MS) == list(range(100))


def test_a_batch_leaves_the_rest_for_the_next() -> None:
    schedule = PacketSchedule()
    for number in range(5):
        schedule.arrive(arrived(number), 0)
    assert [r.number for r in schedule.due(0, most=3)] == [0, 1, 2]
    assert numbers(schedule, 0) == [3, 4]


def test_packets_that_are_due_soon_can_leave_early() -> None:
    schedule = PacketSchedule(ShaperState({1: QueueImpairment(delay_ns=MS)}))
    schedule.arrive(arrived(1), 0)
    assert list(schedule.due(MS - 101, early_ns=100)) == []
    assert len(list(schedule.due(MS - 100, early_ns=100))) == 1


def test_jitter_is_even_over_its_whole_range() -> None:
    schedule = PacketSchedule(ShaperState({1: QueueImpairment(delay_ns=20 * MS, jitter_ns=5 * MS)}, seed=3))
    for number in range(20_000):
        schedule.arrive(arrived(number), 0)
    delays = sorted(now for now, _ in drain(schedule))
    assert delays[0] >= 15 * MS
    assert delays[-1] <= 25 * MS
    for share in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert abs(delays[int(20_000 * share)] - (15 + 10 * share) * MS) < 0.2 * MS


def test_jitter_never_makes_a_delay_negative() -> None:
    schedule = PacketSchedule(ShaperState({1: QueueImpairment(delay_ns=MS, jitter_ns=5 * MS)}))
    for number in range(1000):
        schedule.arrive(arrived(number), 0)
    assert min(now for now, _ in drain(schedule)) == 0


def test_the_seed_decides_all_choices() -> None:
    def run(seed: int) -> list[tuple[int, PacketRelease]]:
        asked = QueueImpairment(delay_ns=20 * MS, jitter_ns=MS, corruption=0.1, duplication=0.1, reordering=0.1)
        schedule = PacketSchedule(ShaperState({1: asked}, seed))
        for number in range(300):
            schedule.arrive(arrived(number, payload=BYTES), number)
        return drain(schedule)

    assert run(7) == run(7)
    assert run(7) != run(8)


def test_a_share_of_packets_overtakes() -> None:
    schedule = PacketSchedule(ShaperState({1: QueueImpairment(delay_ns=20 * MS, reordering=0.25)}))
    for number in range(10_000):
        schedule.arrive(arrived(number), 0)
    at_once = len(numbers(schedule, 0))
    assert 2300 < at_once < 2700
    assert schedule.statistics[1].overtaking == at_once


def test_a_share_of_packets_is_corrupted() -> None:
    schedule = PacketSchedule(ShaperState({1: QueueImpairment(corruption=0.1)}))
    for number in range(10_000):
        schedule.arrive(arrived(number, payload=BYTES), 0)
    changed = [release.payload for _, release in drain(schedule) if release.payload is not None]
    assert 850 < len(changed) < 1150
    assert BYTES not in changed
    assert schedule.statistics[1].corrupted == len(changed)


def test_a_share_of_packets_is_duplicated() -> None:
    schedule = PacketSchedule(ShaperState({1: QueueImpairment(delay_ns=MS, duplication=0.1)}))
    for number in range(10_000):
        schedule.arrive(arrived(number, payload=BYTES), 0)
    copies = [release for _, release in drain(schedule) if release.number is None]
    assert 850 < len(copies) < 1150
    assert {copy.payload for copy in copies} == {BYTES}
    assert schedule.statistics[1].duplicated == len(copies)


def test_a_new_state_applies_to_later_packets() -> None:
    schedule = PacketSchedule(ShaperState({1: QueueImpairment(delay_ns=50 * MS)}))
    schedule.arrive(arrived(1), 0)
    schedule.replace(ShaperState())
    schedule.arrive(arrived(2), 1)
    assert numbers(schedule, 1) == [2]
    assert numbers(schedule, 50 * MS) == [1]


def test_the_number_of_waiting_packets_is_limited() -> None:
    schedule = PacketSchedule(ShaperState({1: QueueImpairment(delay_ns=MS)}), max_waiting=3)
    assert [schedule.arrive(arrived(number), 0) for number in range(5)] == [True, True, True, False, False]
    assert len(schedule) == 3
    assert schedule.statistics[1].dropped == 2


def test_copies_count_towards_the_limit() -> None:
    schedule = PacketSchedule(ShaperState({1: QueueImpairment(delay_ns=MS, duplication=1.0)}), max_waiting=4)
    for number in range(10):
        schedule.arrive(arrived(number, payload=BYTES), 0)
    assert len(schedule) <= 4


def test_late_packets_are_counted() -> None:
    schedule = PacketSchedule(ShaperState({1: QueueImpairment(delay_ns=100 * MS)}))
    for number in range(3):
        schedule.arrive(arrived(number), number)
    for now in (100 * MS + 1000, 103 * MS + 1, 103 * MS + 3):
        assert len(list(schedule.due(now, most=1))) == 1
    # The limit is 1 ms + 2 % of 100 ms = 3 ms. The second packet meets it exactly; the third is 1 ns late.
    assert schedule.statistics[1] == QueueStatistics(packets=3, late=1, worst_ns=3 * MS + 1, error_ns=6 * MS + 1001)
