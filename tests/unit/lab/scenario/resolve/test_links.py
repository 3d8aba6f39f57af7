from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.scenario.scenario_files import HEAD, load
from torrentnet.lab.scenario.plan.events import NetworkFaultPlan, PartitionPlan
from torrentnet.lab.scenario.qualities import LinkQualities

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.scenario.qualities import Pair

SEEDERS = tuple(f"seeder-{index}" for index in (1, 2, 3))
LEECHERS = tuple(f"leecher-{index}" for index in (1, 2, 3, 4, 5))
ALL = ("tracker", *SEEDERS, *LEECHERS)


def pairs(sources: tuple[str, ...], destinations: tuple[str, ...]) -> set[Pair]:
    return {pair for pair in itertools.product(sources, destinations) if pair[0] != pair[1]}


def both(here: tuple[str, ...], there: tuple[str, ...]) -> set[Pair]:
    return pairs(here, there) | pairs(there, here)


def event(folder: Path, text: str) -> NetworkFaultPlan:
    (only,) = load(folder, HEAD + f"timeline:\n  - {{at: 5s, {text}}}\n").events
    assert isinstance(only, NetworkFaultPlan)
    return only


@pytest.mark.parametrize(
    ("way", "meant"),
    [
        ("between: all", pairs(ALL, ALL)),
        ("between: seeder", pairs(SEEDERS, SEEDERS)),
        ("between: [seeder]", pairs(SEEDERS, SEEDERS)),
        ("between: [seeder, leecher]", both(SEEDERS, LEECHERS)),
        ("between: [seeder-1, [tracker, leecher-1]]", both(("seeder-1",), ("tracker", "leecher-1"))),
        ("between: [tracker, seeder-1, leecher-1]", pairs(*[("tracker", "seeder-1", "leecher-1")] * 2)),
        ("between: [leecher-1, all]", both(("leecher-1",), ALL)),
        ("from: seeder-1", pairs(("seeder-1",), ALL)),
        ("to: leecher", pairs(ALL, LEECHERS)),
        ("from: seeder-1, to: leecher", pairs(("seeder-1",), LEECHERS)),
        ("from: [tracker, seeder-1], to: all", pairs(("tracker", "seeder-1"), ALL)),
    ],
)
def test_directions_select_links(way: str, meant: set[Pair], tmp_path: Path) -> None:
    (link,) = load(tmp_path, HEAD + f"links:\n  - {{{way}, loss: 5%}}\n").links
    assert link.pairs == meant
    assert link.qualities == LinkQualities(loss=0.05)


def test_qualities_have_the_units_of_the_plan(tmp_path: Path) -> None:
    links = load(
        tmp_path,
        HEAD
        + """\
links:
  - {between: all, rate: 8mbit, delay: 20ms, jitter: 5ms, loss: 5%}
  - {to: leecher, corruption: 0.1%, duplication: 1%, reordering: 25%}
  - {from: seeder-1, to: [leecher-1, leecher-2], rate: 1MiB/s, loss: 0%}
  - {to: tracker, rate: unlimited, delay: 0s}
""",
    ).links
    assert [link.qualities for link in links] == [
        LinkQualities(rate=8e6, delay=0.02, jitter=0.005, loss=0.05),
        LinkQualities(corruption=0.001, duplication=0.01, reordering=0.25),
        LinkQualities(rate=8 * 2**20, loss=0),
        LinkQualities(rate=math.inf, delay=0),
    ]
    assert [link.text for link in links] == [
        "between all, rate 8mbit, delay 20ms, jitter 5ms, loss 5%",
        "to leecher, corruption 0.1%, duplication 1%, reordering 25%",
        "from seeder-1 to leecher-1, leecher-2, rate 8.38861mbit, loss 0%",
        "to tracker, rate unlimited, delay 0s",
    ]


def test_a_jitter_may_use_the_delay_of_another_item(tmp_path: Path) -> None:
    text = HEAD + "links:\n  - {between: all, delay: 20ms}\n  - {to: leecher, jitter: 5ms, reordering: 1%}\n"
    assert load(tmp_path, text).links[1].qualities.jitter == 0.005


def test_a_partition_cuts_only_links_between_its_sides(tmp_path: Path) -> None:
    two = event(tmp_path, "partition: [[tracker, seeder-1], [leecher]], for: 10s")
    assert isinstance(two, PartitionPlan)
    assert two.override.pairs == both(("tracker", "seeder-1"), LEECHERS)
    assert two.override.qualities == LinkQualities(cut=True)
    assert two.nodes == ("tracker", "seeder-1", *LEECHERS)
    assert (two.lasts, two.text) == (10.0, "partition tracker, seeder-1 | leecher for 10s")
    three = event(tmp_path, "partition: [tracker, seeder, [leecher-1, leecher-2]], for: rest")
    few = ("leecher-1", "leecher-2")
    assert three.override.pairs == both(("tracker",), SEEDERS) | both(("tracker",), few) | both(SEEDERS, few)
    assert (three.lasts, three.text) == (
        None,
        "partition tracker | seeder | leecher-1, leecher-2 for the rest of the run",
    )


def test_a_partition_may_cut_one_direction(tmp_path: Path) -> None:
    one = event(tmp_path, "partition: {from: seeder, to: leecher-1}, until: 8s")
    assert one.override.pairs == pairs(SEEDERS, ("leecher-1",))
    assert (one.lasts, one.text) == (3.0, "partition from seeder to leecher-1 for 3s")


@pytest.mark.parametrize(
    ("written", "cut", "text"),
    [
        ("leecher-1", both(("leecher-1",), ALL), "isolate leecher-1 for 2s"),
        ("leecher", both(LEECHERS, ALL), "isolate leecher for 2s"),
        ("{from: leecher-1}", pairs(("leecher-1",), ALL), "isolate from leecher-1 for 2s"),
        (
            "{to: [leecher-1, leecher-2]}",
            pairs(ALL, ("leecher-1", "leecher-2")),
            "isolate to leecher-1, leecher-2 for 2s",
        ),
    ],
)
def test_an_isolation_cuts_all_links_of_its_nodes(written: str, cut: set[Pair], text: str, tmp_path: Path) -> None:
    one = event(tmp_path, f"isolate: {written}, for: 2s")
    assert one.override.pairs == cut
    assert one.text == text


def test_an_impairment_overrides_links_for_some_time(tmp_path: Path) -> None:
    one = event(tmp_path, "impair: {between: [seeder, leecher], loss: 5%, rate: 1mbit}, for: 15s")
    assert one.override.pairs == both(SEEDERS, LEECHERS)
    assert one.override.qualities == LinkQualities(loss=0.05, rate=1e6)
    assert one.text == "impair between seeder, leecher, rate 1mbit, loss 5% for 15s"


def test_a_random_isolation_selects_running_nodes(tmp_path: Path) -> None:
    for index in range(20):
        plan = load(
            tmp_path,
            f"seed: {index}\n{HEAD}timeline:\n  - {{at: 2.1s, kill: seeder-1}}\n"
            "  - {at: 2.3s, isolate: 2 of seeder, for: 1s}\n  - {at: 2.3s, isolate: 2 of leecher, for: 1s}\n",
        )
        _, seeders, leechers = plan.events
        assert seeders.text == "isolate 2 of seeder (seeder-2, seeder-3) for 1s"
        assert isinstance(seeders, NetworkFaultPlan)
        assert {pair[0] for pair in seeders.override.pairs if pair[0] in SEEDERS and pair[1] in LEECHERS} == {
            "seeder-2",
            "seeder-3",
        }
        assert isinstance(leechers, NetworkFaultPlan)
        assert ("leecher-5", "tracker") not in leechers.override.pairs
