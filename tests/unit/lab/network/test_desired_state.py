from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.lab.network.desired_state import UNTOUCHED, NetworkState, changed_pairs
from torrentnet.lab.scenario.qualities import QUALITY_NAMES, LinkOverride, LinkQualities

AB, BA, AC = ("a", "b"), ("b", "a"), ("a", "c")


def override(qualities: LinkQualities, *pairs: tuple[str, str]) -> LinkOverride:
    return LinkOverride(frozenset(pairs), qualities, "a test")


def test_nothing_is_asked_of_a_new_network() -> None:
    assert NetworkState().links() == {}


def test_the_latest_override_wins_and_qualities_combine() -> None:
    state, _ = NetworkState().add(override(LinkQualities(rate=8e6, loss=0.05), AB, BA))
    state, second = state.add(override(LinkQualities(loss=0.2, delay=0.02), AB))
    assert state.links() == {AB: LinkQualities(rate=8e6, loss=0.2, delay=0.02), BA: LinkQualities(rate=8e6, loss=0.05)}
    assert state.remove(second).links() == {
        AB: LinkQualities(rate=8e6, loss=0.05),
        BA: LinkQualities(rate=8e6, loss=0.05),
    }


def test_the_latest_override_wins_after_an_older_one_is_removed() -> None:
    state, first = NetworkState().add(override(LinkQualities(loss=0.1), AB))
    state, second = state.add(override(LinkQualities(loss=0.2), AB))
    state, third = state.remove(first).add(override(LinkQualities(loss=0.3), AB))
    assert third not in {first, second}
    assert state.links()[AB].loss == 0.3
    assert state.remove(third).links()[AB].loss == 0.2


def test_a_later_override_can_ask_for_no_loss_cut_or_limit() -> None:
    state, _ = NetworkState().add(override(LinkQualities(loss=0.1, cut=True, rate=1e6, delay=0.1), AB))
    state, _ = state.add(override(LinkQualities(loss=0.0, cut=False, rate=math.inf, delay=0.0), AB))
    assert state.links() == {}


def test_an_override_is_removed_once() -> None:
    state, number = NetworkState().add(override(LinkQualities(cut=True), AB))
    with pytest.raises(KeyError):
        state.remove(number).remove(number)
    with pytest.raises(KeyError):
        state.remove(number + 1)


def test_changed_pairs_are_empty_where_nothing_changes() -> None:
    before, _ = NetworkState().add(override(LinkQualities(loss=0.1), AB, AC))
    same, _ = before.add(override(LinkQualities(loss=0.1), AB))
    other, _ = before.add(override(LinkQualities(loss=0.2), AB, BA))
    assert changed_pairs(before.links(), same.links()) == set()
    assert changed_pairs(before.links(), other.links()) == {AB, BA}
    assert changed_pairs(before.links(), {}) == {AB, AC}


shares = st.none() | st.sampled_from([0.0, 0.01, 0.5, 1.0])
qualities = st.builds(
    LinkQualities,
    rate=st.none() | st.sampled_from([64e3, 8e6, math.inf]),
    delay=st.none() | st.sampled_from([0.0, 0.02]),
    loss=shares,
    reordering=shares,
    cut=st.none() | st.booleans(),
)
overrides = st.builds(
    LinkOverride,
    pairs=st.frozensets(st.sampled_from([AB, BA, AC]), min_size=1),
    qualities=qualities,
    text=st.just("a test"),
)


@given(st.lists(overrides, max_size=5))
def test_links_combine_the_last_value_of_each_quality(given_overrides: list[LinkOverride]) -> None:
    state = NetworkState()
    for one in given_overrides:
        state, _ = state.add(one)
    for pair in (AB, BA, AC):
        last = {
            name: value
            for one in given_overrides
            if pair in one.pairs
            for name in QUALITY_NAMES
            if (value := getattr(one.qualities, name)) is not None
        }
        assert state.links().get(pair, UNTOUCHED) == LinkQualities(**last).effective()


@given(st.lists(overrides, max_size=4), overrides)
def test_removing_an_override_undoes_exactly_its_effect(
    given_overrides: list[LinkOverride], extra: LinkOverride
) -> None:
    state = NetworkState()
    for one in given_overrides:
        state, _ = state.add(one)
    more, number = state.add(extra)
    assert more.remove(number).links() == state.links()
