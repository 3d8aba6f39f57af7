"""The checks that count, and what they report."""

from __future__ import annotations

import json

import pytest

from tests.unit.lab.verdict.trial import BAD, Trial, peers
from torrentnet.lab.engines.types import ExecResult, NodeStatus
from torrentnet.lab.scenario.plan.expectations import (
    BytesCheckPlan,
    ExitCheckPlan,
    Interval,
    KnowsCheckPlan,
    LogCheckPlan,
    LogPattern,
)
from torrentnet.lab.verdict.checks import format_interval
from torrentnet.lab.verdict.counting_checks import format_bytes, parse_interface_bytes, parse_peer_names

NET = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     500       5    0    0    0     0          0         0      500       5    0    0    0     0       0          0
  eth0: 8493465    1234    0    0    0     0          0         0   123456    1000    0    0    0     0       0          0
"""  # noqa: E501


# -- knows -----------------------------------------------------------------------------------------


def test_the_tracker_knows_a_number_of_peers(trial: Trial) -> None:
    pending = trial.expect(KnowsCheckPlan, "tracker", count=Interval(2, 2), within=9.0)
    key = ("tracker", "console", "peers", "--json")
    trial.engine.answers[key] = peers("seeder-1")
    assert trial.evaluate(pending, 1.0) is None
    trial.engine.answers[key] = peers("seeder-1", "leecher-1")
    result = trial.decide(pending, 2.0)
    assert result.passed
    assert result.measured == "2 peers (seeder-1, leecher-1), at 2.0 s"
    assert result.inspect == "look tracker peers"


def test_what_a_tracker_knows_after_the_deadline_is_too_late(trial: Trial) -> None:
    pending = trial.expect(KnowsCheckPlan, "tracker", count=Interval(1, 1), within=2.5)
    key = ("tracker", "console", "peers", "--json")
    trial.engine.answers[key] = peers("seeder-1", "leecher-1")
    assert trial.evaluate(pending, 2.4) is None
    assert pending.due() == 2.5
    assert trial.evaluate(pending, 2.5) is None
    trial.engine.answers[key] = peers("seeder-1")
    result = trial.decide(pending, 2.8)
    assert not result.passed
    assert result.measured == "1 peer (seeder-1), at 2.8 s: too late"


def test_only_the_first_known_peers_are_named(trial: Trial) -> None:
    pending = trial.expect(KnowsCheckPlan, "tracker", count=Interval(most=3), at=2.0)
    trial.engine.answers["tracker", "console", "peers", "--json"] = peers(*(f"n-{index}" for index in range(10)))
    result = trial.decide(pending, 2.0)
    assert not result.passed
    assert result.measured == (
        "10 peers (n-0, n-1, n-2, n-3, n-4, n-5, n-6, n-7 and 2 more), expected at most 3, at 2.0 s"
    )


def test_no_known_peers_are_a_failure(trial: Trial) -> None:
    trial.engine.answers["tracker", "console", "peers", "--json"] = peers()
    found = trial.decide(trial.expect(KnowsCheckPlan, "tracker", count=Interval(1, 1), at=1.0), 1.0)
    assert (found.passed, found.measured) == (False, "0 peers, expected exactly 1, at 1.0 s")


UNREADABLE_PEERS = [
    (ExecResult(3, "", "error: nobody answers"), "`peers` ended with status 3: error: nobody answers"),
    (ExecResult(0, "PEER ADDRESS", ""), "the output of `peers` cannot be read: PEER ADDRESS"),
]


@pytest.mark.parametrize(("result", "measured"), UNREADABLE_PEERS)
def test_an_unreadable_list_of_peers_decides_nothing(trial: Trial, result: ExecResult, measured: str) -> None:
    trial.engine.answers["tracker", "console", "peers", "--json"] = result
    pending = trial.expect(KnowsCheckPlan, "tracker", count=Interval(1, 1), at=1.0)
    found = trial.decide(pending, 1.0)
    assert (found.passed, found.judged) == (False, False)
    assert found.measured == f"could not be checked: {measured}"


def test_a_list_of_peers_may_become_readable_in_time(trial: Trial) -> None:
    trial.engine.answers["tracker", "console", "peers", "--json"] = UNREADABLE_PEERS[0][0]
    pending = trial.expect(KnowsCheckPlan, "tracker", count=Interval(1, 1), within=5.0)
    assert all(trial.evaluate(pending, at / 2) is None for at in range(9))
    trial.engine.answers["tracker", "console", "peers", "--json"] = peers("a")
    assert trial.decide(pending, 4.9).passed


def test_an_unreadable_list_of_peers_does_not_end_always_at_once(trial: Trial) -> None:
    trial.engine.answers["tracker", "console", "peers", "--json"] = peers("a")
    pending = trial.expect(KnowsCheckPlan, "tracker", count=Interval(1), always=3.0)
    assert trial.evaluate(pending, 0.0) is None
    trial.engine.answers["tracker", "console", "peers", "--json"] = UNREADABLE_PEERS[1][0]
    assert all(trial.evaluate(pending, at / 10) is None for at in (10, 13, 16))
    assert not trial.decide(pending, 1.9).judged


def test_an_unreadable_list_of_a_tracker_that_has_ended_is_a_failure(trial: Trial) -> None:
    trial.engine.answers["tracker", "console", "peers", "--json"] = UNREADABLE_PEERS[0][0]
    trial.set_status("tracker", NodeStatus.EXITED, 1)
    assert not trial.decide(trial.expect(KnowsCheckPlan, "tracker", count=Interval(1, 1), at=1.0), 1.0).passed


def test_a_peer_with_two_files_is_one_peer() -> None:
    row = json.dumps({"peer": "a", "address": "198.18.0.2:6881"})
    assert parse_peer_names(f"{row}\n{row}\n") == ["a"]
    assert parse_peer_names('["a"]') is None


# -- log -------------------------------------------------------------------------------------------


def test_a_line_of_the_log_is_waited_for(trial: Trial) -> None:
    pending = trial.expect(LogCheckPlan, pattern=BAD, count=Interval(2), within=5.0)
    trial.print_event(1.0, "leecher-1", "bad_piece peer=seeder-1 piece=3")
    trial.print_event(1.1, "leecher-1", "bad_piece peer=seeder-2 piece=3")
    assert trial.evaluate(pending, 2.0) is None
    trial.print_event(3.0, "leecher-1", "bad_piece peer=seeder-1 piece=4")
    result = trial.decide(pending, 3.1)
    assert result.passed
    assert result.measured == "2 lines with the event bad_piece peer=seeder-1; the last at 3.0 s"
    assert result.time == pytest.approx(3.0)
    assert result.inspect == "logs/leecher-1.log in the record"


def test_a_missing_line_fails_at_the_deadline(trial: Trial) -> None:
    pending = trial.expect(LogCheckPlan, pattern=LogPattern(text="no seed"), count=Interval(1), within=5.0)
    assert trial.evaluate(pending, 5.4) is None
    result = trial.decide(pending, 5.6)
    assert (result.passed, result.measured) == (False, "no line with the text `no seed`, expected at least 1")


def test_a_line_after_the_deadline_does_not_count(trial: Trial) -> None:
    pending = trial.expect(LogCheckPlan, pattern=BAD, count=Interval(1), within=5.0)
    trial.print_event(5.2, "leecher-1", "bad_piece peer=seeder-1 piece=3")
    assert trial.evaluate(pending, 5.3) is None
    result = trial.decide(pending, 5.6)
    assert result.measured == "no line with the event bad_piece peer=seeder-1, expected at least 1"


def test_an_upper_bound_is_checked_until_the_deadline(trial: Trial) -> None:
    pending = trial.expect(LogCheckPlan, pattern=BAD, count=Interval(most=0), within=5.0)
    assert trial.evaluate(pending, 1.0) is None
    assert not pending.open_ended
    assert trial.evaluate(pending, 5.4) is None
    result = trial.decide(pending, 5.6)
    assert (result.passed, result.measured) == (True, "no line with the event bad_piece peer=seeder-1")


def test_a_forbidden_line_fails_at_once_and_is_shown(trial: Trial) -> None:
    pending = trial.expect(LogCheckPlan, pattern=BAD, count=Interval(most=0), within=29.0)
    trial.print_event(1.5, "leecher-1", "bad_piece peer=seeder-1 piece=3")
    result = trial.decide(pending, 2.0)
    assert not result.passed
    assert result.measured.startswith("1 line with the event bad_piece peer=seeder-1, expected at most 0; at 1.5 s: ")
    assert result.measured.endswith("bad_piece peer=seeder-1 piece=3")


def test_an_upper_bound_to_the_end_prolongs_nothing(trial: Trial) -> None:
    pending = trial.expect(LogCheckPlan, pattern=BAD, count=Interval(most=1), within=30.0)
    assert trial.evaluate(pending, 1.0) is None
    assert pending.open_ended
    pending.finish()
    assert pending.result is not None
    assert pending.result.passed


def test_a_lower_bound_is_waited_for_beside_an_upper_one(trial: Trial) -> None:
    pending = trial.expect(LogCheckPlan, pattern=BAD, count=Interval(1, 2), within=30.0)
    assert trial.evaluate(pending, 1.0) is None
    assert not pending.open_ended
    trial.print_event(1.5, "leecher-1", "bad_piece peer=seeder-1 piece=3")
    assert trial.evaluate(pending, 2.0) is None
    assert pending.open_ended


def test_lines_before_the_event_do_not_count(trial: Trial) -> None:
    trial.timeline.times[0] = 5.0
    trial.lab_state.count_lines("leecher-1", BAD)
    trial.print_event(4.0, "leecher-1", "bad_piece peer=seeder-1 piece=3")
    pending = trial.expect(LogCheckPlan, pattern=BAD, count=Interval(1), within=2.0, after=0)
    assert trial.evaluate(pending, 5.5) is None
    trial.print_event(6.0, "leecher-1", "bad_piece peer=seeder-1 piece=4")
    result = trial.decide(pending, 6.1)
    assert result.measured == "1 line with the event bad_piece peer=seeder-1; 1.0 s after kill seeder-1"


def test_lines_at_a_time_are_counted_after_a_short_delay(trial: Trial) -> None:
    pending = trial.expect(LogCheckPlan, pattern=BAD, count=Interval(1, 1), at=2.0)
    assert trial.evaluate(pending, 2.1) is None
    trial.print_event(1.9, "leecher-1", "bad_piece peer=seeder-1 piece=3")
    trial.print_event(2.2, "leecher-1", "bad_piece peer=seeder-1 piece=4")
    assert trial.decide(pending, 2.5).passed


# -- exit ------------------------------------------------------------------------------------------


def test_an_exit_status_counts_after_the_node_is_up_again(trial: Trial) -> None:
    pending = trial.expect(ExitCheckPlan, "seeder-1", status=137, within=9.0)
    assert trial.evaluate(pending, 1.0) is None
    trial.clock.time = 2.0
    trial.set_status("seeder-1", NodeStatus.EXITED, 137)
    trial.set_status("seeder-1", NodeStatus.RUNNING)
    result = trial.decide(pending, 3.0)
    assert (result.passed, result.measured) == (True, "ended with status 137 at 2.0 s")


def test_another_exit_status_fails(trial: Trial) -> None:
    pending = trial.expect(ExitCheckPlan, status=1, within=20.0)
    trial.clock.time = 2.0
    trial.set_status("leecher-1", NodeStatus.EXITED, 0)
    assert trial.evaluate(pending, 2.1) is None
    result = trial.decide(pending, 3.2)
    assert (result.passed, result.measured) == (False, "ended with status 0 at 2.0 s, expected status 1")


def test_a_node_that_does_not_end_fails_at_the_deadline(trial: Trial) -> None:
    trial.set_status("leecher-1", NodeStatus.RUNNING)
    result = trial.decide(trial.expect(ExitCheckPlan, status=0, within=2.0), 2.6)
    assert (result.passed, result.measured) == (False, "has not ended: running")
    result = trial.decide(trial.expect(ExitCheckPlan, status=0, at=3.0), 3.0)
    assert (result.passed, result.measured) == (False, "has not ended: running at 3.0 s")


# -- bytes -----------------------------------------------------------------------------------------


def test_the_bytes_of_the_interface_are_compared(trial: Trial) -> None:
    trial.engine.answers["leecher-1", "cat", "/proc/net/dev"] = ExecResult(0, NET, "")
    pending = trial.expect(BytesCheckPlan, sent=Interval(most=200_000), received=Interval(8 << 20), at=2.0)
    result = trial.decide(pending, 2.0)
    assert result.passed
    assert result.measured == "sent 120.6 KiB (123456 bytes); received 8.1 MiB (8493465 bytes), at 2.0 s"
    assert result.inspect == "/proc/net/dev in leecher-1"


def test_too_many_bytes_fail_at_once(trial: Trial) -> None:
    trial.engine.answers["leecher-1", "cat", "/proc/net/dev"] = ExecResult(0, NET, "")
    result = trial.decide(trial.expect(BytesCheckPlan, received=Interval(most=8 << 20), within=20.0), 2.0)
    assert not result.passed
    assert result.measured == ("received 8.1 MiB (8493465 bytes), expected at most 8.0 MiB (8388608 bytes), at 2.0 s")


def test_unreadable_counters_decide_nothing(trial: Trial) -> None:
    trial.engine.answers["leecher-1", "cat", "/proc/net/dev"] = ExecResult(1, "", "cat: no such file")
    found = trial.decide(trial.expect(BytesCheckPlan, sent=Interval(1), at=1.0), 1.0)
    assert not found.judged
    assert found.measured == "could not be checked: /proc/net/dev cannot be read: cat: no such file"


@pytest.mark.parametrize("text", ["", "no colon here", "eth0: 1 2 3", "eth0: " + " ".join(["x"] * 16)])
def test_a_malformed_list_of_interfaces_is_none(text: str) -> None:
    assert parse_interface_bytes(text) is None


def test_all_interfaces_count_but_the_loopback() -> None:
    assert parse_interface_bytes(NET) == (123456, 8493465)
    assert parse_interface_bytes(NET + NET.splitlines()[3].replace("eth0", "eth1")) == (246912, 16986930)


# -- numbers for people ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 bytes"), (1, "1 byte"), (1023, "1023 bytes"), (1536, "1.5 KiB (1536 bytes)"), (5 << 40, "5120.0 GiB")],
)
def test_sizes_are_formatted_with_a_unit(number: int, text: str) -> None:
    assert format_bytes(number).startswith(text)


@pytest.mark.parametrize(
    ("bound", "text"),
    [
        (Interval(2, 2), "exactly 2"),
        (Interval(2, 4), "2 to 4"),
        (Interval(2), "at least 2"),
        (Interval(most=0), "at most 0"),
        (Interval(), "at least 0"),
    ],
)
def test_intervals_are_formatted_for_people(bound: Interval, text: str) -> None:
    assert format_interval(bound) == text
