from __future__ import annotations

import math

import pytest

from torrentnet.lab.scenario.qualities import QUALITY_NAMES, LinkQualities


def test_the_upper_qualities_win_and_others_stay() -> None:
    below = LinkQualities(rate=1e6, loss=0.5)
    assert LinkQualities(loss=0.0, delay=0.02).over(below) == LinkQualities(rate=1e6, loss=0.0, delay=0.02)


def test_what_has_no_effect_is_left_out() -> None:
    idle = LinkQualities(rate=math.inf, loss=0.0, cut=False)
    assert idle.effective() == LinkQualities()
    assert idle.asked() == ("rate", "loss", "cut")
    assert set(QUALITY_NAMES) > set(idle.asked())


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"rate": 0}, "a rate of 0 bit/s: it must be more than 0; use a cut for a link without any"),
        ({"rate": math.nan}, "a rate of nan bit/s: it must be more than 0; use a cut for a link without any"),
        ({"uplink": -1.0}, "a uplink of -1 bit/s: it must be more than 0; use a cut for a link without any"),
        ({"delay": -0.5}, "a delay of -0.5 s: it must be 0 or more"),
        ({"jitter": math.inf}, "a jitter of inf s: it must be 0 or more"),
        ({"loss": 1.5}, "a loss of 1.5: it must be between 0 and 1"),
        ({"corruption": -0.1}, "a corruption of -0.1: it must be between 0 and 1"),
    ],
)
def test_impossible_qualities_are_refused(values: dict[str, float], text: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        LinkQualities(**values)  # type: ignore[arg-type]
    assert str(caught.value) == text
