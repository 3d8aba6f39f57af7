from __future__ import annotations

import subprocess
import sys

import pytest

from torrentnet.lab.scenario.language.scalars import InvalidValueError
from torrentnet.lab.scenario.language.selectors import parse_selector
from torrentnet.lab.scenario.resolve.context import NodeDirectory, resolve_selector

DIRECTORY = NodeDirectory(
    {
        "tracker": ("tracker",),
        "seeder": ("seeder-1", "seeder-2", "seeder-3"),
        "leecher": tuple(f"leecher-{index}" for index in range(1, 11)),
    }
)


def chosen(written: object, seed: int = 1, place: str = "timeline[0].kill") -> tuple[str, ...]:
    return resolve_selector(parse_selector(written), DIRECTORY, seed, place)


@pytest.mark.parametrize(
    ("written", "nodes"),
    [
        ("seeder-2", ("seeder-2",)),
        ("seeder", ("seeder-1", "seeder-2", "seeder-3")),
        (["leecher-3", "seeder-1", "tracker"], ("tracker", "seeder-1", "leecher-3")),
        (["seeder", "seeder-1", "3 of seeder"], ("seeder-1", "seeder-2", "seeder-3")),
        ("100% of seeder", ("seeder-1", "seeder-2", "seeder-3")),
        ("all", DIRECTORY.nodes),
    ],
)
def test_nodes_are_selected_in_the_order_of_the_scenario(written: object, nodes: tuple[str, ...]) -> None:
    assert chosen(written) == nodes


@pytest.mark.parametrize(
    ("written", "count"),
    [
        ("1 of leecher", 1),
        ("7 of leecher", 7),
        ("30% of leecher", 3),
        ("1% of leecher", 1),
        ("50% of seeder", 2),
        ("2 of all", 2),
    ],
)
def test_counts_and_shares_select_so_many_nodes(written: str, count: int) -> None:
    nodes = chosen(written)
    assert len(set(nodes)) == len(nodes) == count
    assert set(nodes) <= set(chosen(written.split(" of ")[1]))


def test_a_random_selection_depends_on_seed_and_place() -> None:
    assert chosen("3 of leecher", seed=7) == chosen("3 of leecher", seed=7)
    assert len({chosen("3 of leecher", seed=seed) for seed in range(50)}) > 10
    assert len({chosen("3 of leecher", place=f"timeline[{index}].kill") for index in range(50)}) > 10


def test_a_random_selection_never_changes() -> None:
    assert chosen("3 of leecher", seed=7) == ("leecher-6", "leecher-7", "leecher-8")


def test_a_random_selection_is_the_same_in_every_process() -> None:
    program = (
        "from torrentnet.lab.scenario.language.selectors import parse_selector\n"
        "from torrentnet.lab.scenario.resolve.context import NodeDirectory, resolve_selector\n"
        "d = NodeDirectory({'leecher': tuple(f'leecher-{i}' for i in range(1, 11))})\n"
        "print(*resolve_selector(parse_selector('4 of leecher'), d, 3, 'here'))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": salt}, check=True, capture_output=True
        ).stdout
        for salt in ("1", "2")
    }
    assert len(said) == 1


def test_a_random_selection_can_select_every_node() -> None:
    assert {chosen("1 of leecher", seed=seed)[0] for seed in range(300)} == set(chosen("leecher"))


def test_names_of_an_unreadable_group_are_not_checked() -> None:
    directory = NodeDirectory({"seeder": ("seeder-1",)}, frozenset({"leecher"}))
    for name in ("leecher", "leecher-3", "2 of leecher"):
        assert resolve_selector(parse_selector(name), directory, 1, "") == ()
    with pytest.raises(InvalidValueError):
        resolve_selector(parse_selector("leechers"), directory, 1, "")
