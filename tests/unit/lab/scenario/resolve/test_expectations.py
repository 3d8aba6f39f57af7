"""Expectations beyond a file, a state and an answer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.scenario.scenario_files import HEAD, load
from torrentnet.lab.scenario.language.scalars import format_interval, format_size, parse_interval, parse_size
from torrentnet.lab.scenario.plan.expectations import (
    Always,
    BytesCheckPlan,
    ExitCheckPlan,
    Interval,
    KnowsCheckPlan,
    LogCheckPlan,
    LogPattern,
    Severity,
    Within,
)

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.scenario.plan.expectations import ExpectationPlan


def expect(folder: Path, *items: str) -> tuple[ExpectationPlan, ...]:
    lines = "".join(f"  - {{{item}}}\n" for item in items)
    timeline = "timeline:\n  - {at: 5s, kill: seeder-1}\n  - {when: leecher is seed, stop: seeder-2}\n"
    return load(folder, f"{HEAD}{timeline}expect:\n{lines}").expectations


@pytest.mark.parametrize(
    ("written", "bound", "text"),
    [
        ("5", Interval(5, 5), "knows 5 peers"),
        ("1", Interval(1, 1), "knows 1 peer"),
        ("0", Interval(0, 0), "knows 0 peers"),
        ("at least 3", Interval(least=3), "knows at least 3 peers"),
        ("at most  4", Interval(most=4), "knows at most 4 peers"),
        ("3 to 5", Interval(3, 5), "knows 3 to 5 peers"),
    ],
)
def test_knows_checks_are_resolved(written: str, bound: Interval, text: str, tmp_path: Path) -> None:
    (one,) = expect(tmp_path, f"node: tracker, knows: {written}, within: 9s")
    assert isinstance(one, KnowsCheckPlan)
    assert (one.count, one.text) == (bound, f"tracker {text} within 9s")


def test_an_interval_of_bytes_is_written_with_units() -> None:
    assert parse_interval("8MiB to 9MiB", parse_size) == Interval(8 * 2**20, 9 * 2**20)
    assert format_interval(parse_interval("at most 1.5MiB", parse_size), format_size) == "at most 1536KiB"


def test_log_checks_are_resolved(tmp_path: Path) -> None:
    text, event, never = expect(
        tmp_path,
        "node: leecher-1, log: source lost, within: 9s",
        "node: [leecher-1, leecher-2], log: {event: bad_piece, piece: 12, peer: seeder-1}, times: 2",
        "node: leecher, log: {event: failed}, times: 0, always: rest",
    )
    assert isinstance(text, LogCheckPlan)
    assert isinstance(event, LogCheckPlan)
    assert (text.pattern, text.count) == (LogPattern(text="source lost"), Interval(least=1))
    assert text.text == "leecher-1 has `source lost` in the log within 9s"
    assert (event.pattern, event.count) == (
        LogPattern(event="bad_piece", fields=(("peer", "seeder-1"), ("piece", "12"))),
        Interval(2, 2),
    )
    assert event.text == (
        "leecher-1, leecher-2 have `bad_piece peer=seeder-1 piece=12` in the log 2 times before the end"
    )
    assert never.text == ("every leecher (5) has no `failed` in the log all the time from the start to the end")


def test_exit_and_bytes_checks_are_resolved(tmp_path: Path) -> None:
    killed, traffic = expect(
        tmp_path,
        "node: seeder-1, exit: 137, within: 2s, after: kill seeder-1",
        "node: leecher-1, bytes: {received: 8MiB to 9MiB, sent: at most 100KiB}, at: 40s",
    )
    assert isinstance(killed, ExitCheckPlan)
    assert killed.status == 137
    assert killed.text == "seeder-1 ends with exit status 137 within 2s after kill seeder-1"
    assert isinstance(traffic, BytesCheckPlan)
    assert (traffic.sent, traffic.received) == (
        Interval(most=100 * 1024),
        Interval(8 * 2**20, 9 * 2**20),
    )
    assert traffic.text == "leecher-1 has sent at most 100KiB and received 8MiB to 9MiB at 40s"


def test_always_checks_are_resolved(tmp_path: Path) -> None:
    found = expect(
        tmp_path,
        "node: seeder-2, state: running, always: 5s",
        "node: seeder-2, state: running, always: 5s, at: 10s",
        "node: seeder-2, state: running, always: 5s, after: kill seeder-1",
        "node: seeder-2, state: running, always: rest, after: kill seeder-1",
        "node: tracker, console: peers, lacks: nobody, always: rest",
    )
    assert [one.timing for one in found] == [
        Always(5.0),
        Always(5.0, start=10.0),
        Always(5.0, after=0),
        Always(math.inf, after=0),
        Always(math.inf),
    ]
    assert [one.text.removeprefix("seeder-2 is running ") for one in found[:4]] == [
        "all the time for 5s from the start",
        "all the time for 5s from 10s on",
        "all the time for 5s after kill seeder-1",
        "all the time after kill seeder-1 to the end",
    ]


def test_time_may_count_from_an_event_with_a_condition(tmp_path: Path) -> None:
    within, open_end = expect(
        tmp_path,
        "node: tracker, forgets: seeder-2, within: 3s, after: stop seeder-2",
        "node: tracker, forgets: seeder-2, after: stop seeder-2",
    )
    assert within.timing == Within(3.0, after=1)
    assert open_end.timing == Within(None, after=1)
    assert open_end.text == "tracker forgets seeder-2 after stop seeder-2, before the end"


def test_an_expectation_has_a_severity_and_own_sentences(tmp_path: Path) -> None:
    warning, failure = expect(
        tmp_path,
        "node: leecher, has: myfile.txt, level: warning, pass: Fast., fail: 'Slow, but that is all.'",
        "node: leecher, has: myfile.txt",
    )
    assert (warning.severity, warning.pass_text, warning.fail_text) == (
        Severity.WARNING,
        "Fast.",
        "Slow, but that is all.",
    )
    assert (failure.severity, failure.pass_text, failure.fail_text) == (Severity.FAILURE, "", "")


def test_corrupt_min_rate_disk_and_as_reach_the_plan(tmp_path: Path) -> None:
    plan = load(
        tmp_path,
        """\
files:
  a.bin: {size: 1MiB}
  fake: {size: 2MiB, as: a.bin}
nodes:
  tracker: {tracker: {}}
  liar: {share: a.bin, corrupt: true}
  good: {share: a.bin, corrupt: false}
  other: {share: fake}
  leecher: {get: a.bin, min_rate: 64kbit, disk: 4MiB}
""",
    )
    nodes = {node.name: node for node in plan.nodes}
    assert nodes["liar"].arguments[-1] == "--corrupt-uploads"
    assert "--corrupt-uploads" not in nodes["good"].arguments
    assert nodes["leecher"].arguments[2:] == ("--min-rate", "64kbit")
    assert [node.limits.disk for node in plan.nodes if "disk" in node.limits.explicit] == [4 * 2**20]
    # Made in a folder of its own, so that its last part is the name on the network.
    assert [file.name for file in plan.files] == ["a.bin", "fake/a.bin"]
    assert (nodes["other"].file, nodes["leecher"].file) == ("fake/a.bin", "a.bin")
