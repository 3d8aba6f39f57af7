"""The choice of the source to download from.

The choice is random among those that failed least. A bad source is never chosen again.
"""

from __future__ import annotations

import random
from collections import Counter

from torrentnet.peer.scheduling.source_selector import MAX_REMEMBERED, SourceSelector
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.udp.lookup import LookupHolder


def holder(number: int) -> LookupHolder:
    return LookupHolder(Endpoint(f"198.18.{number // 250}.{number % 250 + 1}", 6881), f"seeder-{number}")


HOLDERS = [holder(number) for number in range(5)]


def order(candidates: SourceSelector) -> list[tuple[str, int]]:
    picked = []
    while (one := candidates.select()) is not None:
        picked.append((one[0].name, one[1]))
    return picked


def test_each_candidate_is_selected_once() -> None:
    candidates = SourceSelector(random.Random(1))
    candidates.replace(HOLDERS)
    picked = order(candidates)
    assert sorted(name for name, _ in picked) == [one.name for one in HOLDERS]
    assert [among for _, among in picked] == [5, 4, 3, 2, 1]
    assert not candidates.any_untried


def test_without_candidates_nobody_is_selected() -> None:
    candidates = SourceSelector(random.Random(1))
    assert candidates.select() is None
    candidates.replace(())
    assert candidates.select() is None


def test_a_seeded_choice_ignores_the_trackers_order() -> None:
    orders = []
    for shuffle in range(10):
        named = list(HOLDERS)
        random.Random(shuffle).shuffle(named)
        candidates = SourceSelector(random.Random(7))
        candidates.replace(named)
        orders.append(order(candidates))
    assert all(one == orders[0] for one in orders)


def test_different_seeds_select_evenly() -> None:
    counts: Counter[str] = Counter()
    for seed in range(1_000):
        candidates = SourceSelector(random.Random(seed))
        candidates.replace(HOLDERS)
        picked = candidates.select()
        assert picked is not None
        counts[picked[0].name] += 1
    assert len(counts) == 5
    # Chi-square with 4 degrees of freedom: chance exceeds 18.5 once in a thousand runs.
    assert sum((count - 200) ** 2 / 200 for count in counts.values()) < 18.5


def test_a_failed_source_returns_last_once_listed_anew() -> None:
    candidates = SourceSelector(random.Random(1))
    candidates.replace(HOLDERS)
    candidates.failed(HOLDERS[0])
    candidates.failed(HOLDERS[0])
    candidates.failed(HOLDERS[1])
    names = [name for name, _ in order(candidates)]
    assert names[3:] == [HOLDERS[1].name, HOLDERS[0].name]
    assert candidates.select() is None
    candidates.replace(HOLDERS[:2])
    assert order(candidates) == [(HOLDERS[1].name, 1), (HOLDERS[0].name, 1)]


def test_a_banned_source_is_never_selected() -> None:
    candidates = SourceSelector(random.Random(1))
    candidates.replace(HOLDERS)
    candidates.ban(HOLDERS[2])
    assert HOLDERS[2].name not in [name for name, _ in order(candidates)]
    candidates.replace(HOLDERS[2:3])
    assert candidates.select() is None
    # By address and port: another peer on the same host is another peer.
    neighbour = LookupHolder(Endpoint(HOLDERS[2].endpoint.ip, 6882), "neighbour")
    candidates.replace([HOLDERS[2], neighbour])
    assert order(candidates) == [("neighbour", 1)]


def test_new_candidates_replace_the_old_ones() -> None:
    candidates = SourceSelector(random.Random(1))
    candidates.replace(HOLDERS[:3])
    candidates.replace(HOLDERS[3:])
    assert {name for name, _ in order(candidates)} == {HOLDERS[3].name, HOLDERS[4].name}


def test_remembered_failures_are_bounded() -> None:
    candidates = SourceSelector(random.Random(1))
    for number in range(MAX_REMEMBERED + 100):
        candidates.failed(holder(number))
        candidates.ban(holder(number))
    assert len(candidates._failures) == MAX_REMEMBERED
    assert len(candidates._banned) == MAX_REMEMBERED
