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
    "qualities", [{"rate": 0.0}, {"uplink": -1.0}, {"delay": math.inf}, {"jitter": -0.1}, {"loss": 1.1}]
)
def test_impossible_qualities_are_refused(qualities: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(qualities))):
        LinkQualities(**qualities)  # type: ignore[arg-type]
