from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.lab.network.desired_state import UNTOUCHED, NetworkState, changed_pairs
from torrentnet.lab.scenario.qualities import QUALITY_NAMES, LinkOverride, LinkQualities

AB, BA, AC = ("a", "b"), ("b", "a"), ("a", "c")


def patch(qualities: LinkQualities, *pairs: tuple[str, str]) -> LinkOverride:
    return LinkOverride(frozenset(pairs), qualities, "a test")


def test_nothing_is_asked_of_a_new_network() -> None:
    assert NetworkState().links() == {}


def test_the_latest_patch_wins_for_one_quality_and_different_ones_combine() -> None:
    state, _ = NetworkState().add(patch(LinkQualities(rate=8e6, loss=0.05), AB, BA))
    state, second = state.add(patch(LinkQualities(loss=0.2, delay=0.02), AB))
    assert state.links() == {AB: LinkQualities(rate=8e6, loss=0.2, delay=0.02), BA: LinkQualities(rate=8e6, loss=0.05)}
    assert state.remove(second).links() == {
        AB: LinkQualities(rate=8e6, loss=0.05),
        BA: LinkQualities(rate=8e6, loss=0.05),
    }


def test_the_latest_is_the_one_that_came_last_also_after_an_older_one_has_gone() -> None:
    state, first = NetworkState().add(patch(LinkQualities(loss=0.1), AB))
    state, second = state.add(patch(LinkQualities(loss=0.2), AB))
    state, third = state.remove(first).add(patch(LinkQualities(loss=0.3), AB))
    assert third not in {first, second}
    assert state.links()[AB].loss == 0.3
    assert state.remove(third).links()[AB].loss == 0.2


def test_a_later_patch_can_ask_for_no_loss_no_cut_and_no_limit() -> None:
    state, _ = NetworkState().add(patch(LinkQualities(loss=0.1, cut=True, rate=1e6, delay=0.1), AB))
    state, _ = state.add(patch(LinkQualities(loss=0.0, cut=False, rate=math.inf, delay=0.0), AB))
    assert state.links() == {}


def test_a_patch_is_removed_once() -> None:
    state, number = NetworkState().add(patch(LinkQualities(cut=True), AB))
    with pytest.raises(KeyError):
        state.remove(number).remove(number)
    with pytest.raises(KeyError):
        state.remove(number + 1)


def test_changed_pairs_tell_an_event_that_changes_nothing() -> None:
    before, _ = NetworkState().add(patch(LinkQualities(loss=0.1), AB, AC))
    same, _ = before.add(patch(LinkQualities(loss=0.1), AB))
    other, _ = before.add(patch(LinkQualities(loss=0.2), AB, BA))
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
patches = st.builds(
    LinkOverride,
    pairs=st.frozensets(st.sampled_from([AB, BA, AC]), min_size=1),
    qualities=qualities,
    text=st.just("a test"),
)


@given(st.lists(patches, max_size=5))
def test_links_are_what_the_last_word_on_each_quality_says(given_patches: list[LinkOverride]) -> None:
    state = NetworkState()
    for one in given_patches:
        state, _ = state.add(one)
    for pair in (AB, BA, AC):
        last = {
            name: value
            for one in given_patches
            if pair in one.pairs
            for name in QUALITY_NAMES
            if (value := getattr(one.qualities, name)) is not None
        }
        assert state.links().get(pair, UNTOUCHED) == LinkQualities(**last).effective()


@given(st.lists(patches, max_size=4), patches)
def test_removing_a_patch_takes_back_exactly_what_it_did(
    given_patches: list[LinkOverride], extra: LinkOverride
) -> None:
    state = NetworkState()
    for one in given_patches:
        state, _ = state.add(one)
    more, number = state.add(extra)
    assert more.remove(number).links() == state.links()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"rate": 0}, "a rate of 0 bit/s: it must be more than 0; use a cut for a link without any"),
        ({"rate": math.nan}, "a rate of nan bit/s: it must be more than 0; use a cut for a link without any"),
        ({"delay": -0.5}, "a delay of -0.5 s: it must be 0 or more"),
        ({"jitter": math.inf}, "a jitter of inf s: it must be 0 or more"),
        ({"loss": 1.5}, "a loss of 1.5: it must be between 0 and 1"),
        ({"corruption": -0.1}, "a corruption of -0.1: it must be between 0 and 1"),
    ],
)
def test_a_quality_that_no_link_has_is_refused(values: dict[str, float], text: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        LinkQualities(**values)  # type: ignore[arg-type]
    assert str(caught.value) == text
