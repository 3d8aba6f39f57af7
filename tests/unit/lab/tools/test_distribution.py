"""When a distribution begins, and each leecher's time."""

from __future__ import annotations

from tests.unit.lab.fakes import leecher, make_plan, seeder
from torrentnet.lab.engines.types import LogLine, NodeState, NodeStatus, StateChange
from torrentnet.lab.network.counters import Counters
from torrentnet.lab.run.lab_state import LabState
from torrentnet.lab.tools.distribution import Distribution, measure_distribution
from torrentnet.runtime.events import format_timestamp

PLAN = make_plan(nodes=(seeder(), leecher("leecher-1"), leecher("leecher-2")))


def seen(*lines: tuple[float, str, str], counted: dict[tuple[str, str], Counters] | None = None) -> Distribution:
    lab_state = LabState([node.name for node in PLAN.nodes])
    for time, node, text in lines:
        if text == "ends":
            lab_state.add_state(StateChange(node, time, NodeState(NodeStatus.EXITED, 0)))
        else:
            lab_state.add_line(LogLine(node, time, f"{format_timestamp(time)} {text}"))
    return measure_distribution(PLAN, lab_state, lambda: counted or {})


def test_time_counts_from_the_first_leecher_after_the_seed() -> None:
    found = seen(
        (1.0, "seeder-1", "published pieces=4"),
        (10.0, "leecher-1", "listening"),
        (12.0, "leecher-2", "listening"),
        (15.0, "leecher-1", "completed"),
        (18.5, "leecher-2", "completed"),
    )
    assert (found.began, found.first, found.last, found.late) == (10.0, 5.0, 8.5, 1)


def test_time_counts_from_the_seed_after_the_leechers() -> None:
    found = seen(
        (1.0, "seeder-1", "published pieces=4"),
        (2.0, "seeder-1", "ends"),
        (10.0, "leecher-1", "listening"),
        (12.0, "leecher-2", "listening"),
        (20.0, "seeder-1", "published pieces=4"),
        (25.0, "leecher-1", "completed"),
        (26.0, "leecher-2", "completed"),
    )
    assert (found.began, found.first, found.last, found.late) == (20.0, 5.0, 6.0, 0)


def test_a_restarted_seed_does_not_reset_the_time() -> None:
    found = seen(
        (1.0, "seeder-1", "published pieces=4"),
        (10.0, "leecher-1", "listening"),
        (11.0, "seeder-1", "ends"),
        (13.0, "seeder-1", "published pieces=4"),
        (25.0, "leecher-1", "completed"),
    )
    assert (found.began, found.first) == (10.0, 15.0)
    # One of the two never had it.
    assert (found.last, len(found.done), found.leechers) == (None, 1, 2)


def test_without_a_seed_there_is_no_beginning() -> None:
    found = seen((10.0, "leecher-1", "listening"))
    assert (found.began, found.first, found.last, found.seeds_sent) == (None, None, None, None)


def test_bytes_sent_are_summed_over_destinations() -> None:
    counted = {
        ("seeder-1", "leecher-1"): Counters(sent=2, sent_bytes=3000),
        ("seeder-1", "leecher-2"): Counters(sent=1, sent_bytes=1500),
        ("leecher-1", "leecher-2"): Counters(sent=1, sent_bytes=66),
    }
    found = seen(counted=counted)
    assert (found.seeds_sent, found.leechers_sent) == (4500, 66)
