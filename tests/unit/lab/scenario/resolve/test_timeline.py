"""Conditions, repetitions and heals of a timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.scenario.scenario_files import HEAD, load
from torrentnet.lab.scenario.plan.events import (
    AfterTrigger,
    ConsolePlan,
    DownTrigger,
    HasTrigger,
    HealPlan,
    KillPlan,
    LastingPlan,
    NetworkFaultPlan,
    NodeTrigger,
    PausePlan,
    RunPlan,
    SeedTrigger,
    StartPlan,
    Trigger,
    UpTrigger,
)

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.scenario.plan.events import EventPlan

LEECHERS = tuple(f"leecher-{index}" for index in (1, 2, 3, 4, 5))


def events(folder: Path, *items: str) -> tuple[EventPlan, ...]:
    lines = "".join(f"  - {{{item}}}\n" for item in items)
    return load(folder, f"{HEAD}timeline:\n{lines}").events


def trigger(folder: Path, when: str) -> Trigger:
    """Return the trigger of an event with a condition.

    The timeline also kills seeder-1 at 5 s.
    """
    _, waiting = events(folder, "at: 5s, kill: seeder-1", f"when: {when}, pause: seeder-2, for: 3s")
    assert waiting.when is not None
    return waiting.when


@pytest.mark.parametrize(
    ("when", "meant"),
    [
        (
            "leecher-1 has 50% of myfile.txt",
            HasTrigger(text="leecher-1 has 50% of myfile.txt", nodes=("leecher-1",), file="myfile.txt", share=0.5),
        ),
        (
            "leecher has myfile.txt",
            HasTrigger(text="leecher has myfile.txt", nodes=LEECHERS, file="myfile.txt", share=1.0),
        ),
        ("seeder-2 is up", UpTrigger(text="seeder-2 is up", nodes=("seeder-2",))),
        ("seeder-1 is  down", DownTrigger(text="seeder-1 is down", nodes=("seeder-1",))),
        ("leecher is seed", SeedTrigger(text="leecher is seed", nodes=LEECHERS)),
        ("leecher-1 is a seed", SeedTrigger(text="leecher-1 is seed", nodes=("leecher-1",))),
        (
            "leecher-1 and leecher-2 are seeds",
            SeedTrigger(text="leecher-1, leecher-2 is seed", nodes=("leecher-1", "leecher-2")),
        ),
        ("after kill seeder-1", AfterTrigger(text="after kill seeder-1", event=0)),
        ("after kill seeder-1 at 5s", AfterTrigger(text="after kill seeder-1 at 5s", event=0)),
        ("500ms after kill seeder-1", AfterTrigger(text="500ms after kill seeder-1", event=0, delay=0.5)),
        ("2s after leecher is seed", SeedTrigger(text="2s after leecher is seed", nodes=LEECHERS, delay=2.0)),
    ],
)
def test_conditions_become_triggers(when: str, meant: Trigger, tmp_path: Path) -> None:
    assert trigger(tmp_path, when) == meant


def test_a_condition_may_select_nodes_at_random(tmp_path: Path) -> None:
    chosen = trigger(tmp_path, "2 of leecher have 10% of myfile.txt")
    assert isinstance(chosen, NodeTrigger)
    assert len(chosen.nodes) == 2
    assert set(chosen.nodes) < set(LEECHERS)


def test_a_file_name_in_a_condition_may_contain_spaces(tmp_path: Path) -> None:
    text = HEAD.replace("myfile.txt", "my file of has.txt") + "timeline:\n"
    text += "  - {when: leecher-1 has 5% of my file of has.txt, kill: seeder-1}\n"
    (waiting,) = load(tmp_path, text).events
    assert isinstance(waiting.when, HasTrigger)
    assert (waiting.when.file, waiting.when.share) == ("my file of has.txt", 0.05)


def test_events_with_a_condition_come_last(tmp_path: Path) -> None:
    found = events(
        tmp_path,
        "when: 4s after stop seeder-3, start: seeder-3",
        "when: leecher-3 is seed, stop: seeder-3",
        "at: 9s, kill: seeder-1",
        "at: 5s, kill: seeder-2",
        "when: 1s after kill seeder-1, start: seeder-1",
    )
    assert [(event.index, event.text, event.at) for event in found] == [
        (0, "kill seeder-2", 5.0),
        (1, "kill seeder-1", 9.0),
        # The earliest second: leecher-3 starts at 2.4 s.
        (2, "start seeder-3", 6.4),
        (3, "stop seeder-3", 2.4),
        (4, "start seeder-1", 10.0),
    ]
    assert [event.when.event if isinstance(event.when, AfterTrigger) else None for event in found] == [
        None,
        None,
        3,
        None,
        1,
    ]


def test_the_end_of_a_waiting_event_is_a_duration_or_a_time(tmp_path: Path) -> None:
    lasting, until, rest, timed = events(
        tmp_path,
        "when: leecher-1 is up, pause: seeder-1, for: 3s",
        "when: leecher-1 is up, pause: seeder-2, until: 20s",
        "when: leecher-1 is up, isolate: seeder-3, for: rest",
        "at: 1s, pause: tracker, until: 3s",
    )[1:] + events(tmp_path, "at: 1s, pause: tracker, until: 3s")
    assert isinstance(lasting, LastingPlan)
    assert isinstance(until, LastingPlan)
    assert isinstance(rest, LastingPlan)
    assert isinstance(timed, LastingPlan)
    assert (lasting.lasts, lasting.until, lasting.text) == (3.0, None, "pause seeder-1 for 3s")
    assert (until.lasts, until.until, until.text) == (None, 20.0, "pause seeder-2 until 20s")
    assert (rest.lasts, rest.until, rest.text) == (None, None, "isolate seeder-3 for the rest of the run")
    assert (timed.lasts, timed.until) == (2.0, None)


def test_each_repetition_is_an_event(tmp_path: Path) -> None:
    found = events(tmp_path, "every: 2.5s, from: 5s, until: 15s, restart: seeder-1")
    assert [(event.index, event.at) for event in found] == [(0, 5.0), (1, 7.5), (2, 10.0), (3, 12.5), (4, 15.0)]
    assert {event.text for event in found} == {"restart seeder-1"}
    # From one interval on, before the time limit, at which an event would have no effect.
    found = events(tmp_path, "every: 20s, pause: seeder-1, for: 2s")
    assert [(event.at, event.lasts) for event in found if isinstance(event, PausePlan)] == [(20.0, 2.0), (40.0, 2.0)]
    # The repetitions share one set of pairs, which is large in a large lab.
    first, second = events(tmp_path, "every: 20s, isolate: leecher, for: 2s")
    assert isinstance(first, NetworkFaultPlan)
    assert isinstance(second, NetworkFaultPlan)
    assert first.override.pairs is second.override.pairs
    assert len(events(tmp_path, "every: 100ms, from: 0s, until: 10s, restart: seeder-1")) == 101


def test_each_repetition_selects_among_the_running_nodes(tmp_path: Path) -> None:
    found = events(
        tmp_path,
        "every: 4s, from: 4s, until: 40s, kill: 1 of leecher",
        "every: 4s, from: 6s, until: 38s, start: 1 of leecher",
    )
    kills = [event.nodes for event in found if isinstance(event, KillPlan)]
    starts = [event.nodes for event in found if isinstance(event, StartPlan)]
    assert starts == kills[:-1]
    assert len(set(kills)) > 2
    assert found[0].text == f"kill 1 of leecher ({kills[0][0]})"
    down: set[str] = set()
    for event in events(tmp_path, "every: 4s, from: 4s, until: 20s, kill: 1 of leecher"):
        assert not down & set(event.nodes)
        down |= set(event.nodes)
    assert down == set(LEECHERS)


def test_a_heal_ends_the_events_in_force(tmp_path: Path) -> None:
    found = events(
        tmp_path,
        "at: 5s, isolate: leecher-1, for: 3s",
        "at: 5s, isolate: leecher-2, for: rest, name: lonely",
        "at: 6s, pause: seeder-1, for: 10s",
        "at: 7s, partition: [[tracker, seeder], [leecher]], for: rest",
        "at: 9s, heal: all",
        "at: 20s, isolate: leecher-1, for: rest",
        "when: leecher-3 is seed, impair: {to: leecher-3, loss: 5%}, for: rest",
        "at: 30s, heal: [isolate leecher-1 at 20s, 'impair {to: leecher-3, loss: 5%}']",
        "when: leecher-3 is seed, heal: lonely",
    )
    heals = {event.text: event for event in found if isinstance(event, HealPlan)}
    everything = heals["heal all"]
    # leecher-1's first isolation is over by then; an event with a condition may have happened already.
    assert [found[index].text for index in everything.ends] == [
        "isolate leecher-2 for the rest of the run",
        "pause seeder-1 for 10s",
        "partition tracker, seeder | leecher for the rest of the run",
        "impair to leecher-3, loss 5% for the rest of the run",
    ]
    assert everything.nodes == ("tracker", *(f"seeder-{index}" for index in (1, 2, 3)), *LEECHERS)
    named = heals["heal isolate leecher-1 at 20s, impair {to: leecher-3, loss: 5%}"]
    assert [found[index].text for index in named.ends] == [
        "isolate leecher-1 for the rest of the run",
        "impair to leecher-3, loss 5% for the rest of the run",
    ]
    assert [found[index].name for index in heals["heal lonely"].ends] == ["lonely"]


def test_commands_keep_their_text(tmp_path: Path) -> None:
    run, console = events(
        tmp_path,
        "at: 5s, run: \"dd if=/dev/zero of='/data/a b' | cat\", node: [leecher-1, leecher-2]",
        "at: 6s, console: file_logs 'my file', node: tracker",
    )
    assert isinstance(run, RunPlan)
    assert (run.command, run.nodes) == (
        "dd if=/dev/zero of='/data/a b' | cat",
        ("leecher-1", "leecher-2"),
    )
    assert run.text == "run dd if=/dev/zero of='/data/a b' | cat in leecher-1, leecher-2"
    assert isinstance(console, ConsolePlan)
    assert (console.command, console.nodes) == ("file_logs 'my file'", ("tracker",))


@pytest.mark.parametrize(
    "text",
    [
        "cable-cut",
        "partition [[tracker, seeder], [leecher]]",
        "partition tracker, seeder | leecher",
        "partition tracker, seeder | leecher for 3s",
        "cable-cut at 5s",
        "partition tracker,seeder|leecher at 5s",
    ],
)
def test_an_event_is_referred_to_by_its_text_or_name(text: str, tmp_path: Path) -> None:
    plan = load(
        tmp_path,
        HEAD
        + f"""\
timeline:
  - {{at: 5s, partition: [[tracker, seeder], [leecher]], for: 3s, name: cable-cut}}
  - {{at: 9s, impair: {{between: all, loss: 5%}}, for: 3s}}
expect:
  - {{node: leecher, has: myfile.txt, within: 9s, after: "{text}"}}
  - {{node: leecher, has: myfile.txt, after: "impair: {{between: all, loss: 5%}}"}}
""",
    )
    assert [one.after for one in plan.expectations] == [0, 1]
