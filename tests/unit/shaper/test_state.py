"""The text of a desired state."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.shaper.errors import InvalidStateError
from torrentnet.shaper.state import QueueImpairment, ShaperState, format_impairment, format_state, parse_state

MS = 1_000_000


def test_a_state_with_every_keyword() -> None:
    text = """
    seed 7
    queue 4 delay=20ms jitter=5ms
    queue 65535 delay=1.5s corruption=1% duplication=0.5% reordering=100%

    queue 0 jitter=250us
    queue 6
    """
    assert parse_state(text) == ShaperState(
        {
            4: QueueImpairment(20 * MS, 5 * MS),
            65535: QueueImpairment(1500 * MS, 0, 0.01, 0.005, 1.0),
            0: QueueImpairment(0, MS // 4),
            6: QueueImpairment(),
        },
        seed=7,
    )


def test_an_empty_text_is_an_empty_state() -> None:
    assert parse_state("") == ShaperState()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("delay 20ms", "line 1: expected `queue NUMBER delay=20ms ...` or `seed NUMBER`, not 'delay 20ms'"),
        ("\n\nqueue", "line 3: expected `queue NUMBER delay=20ms ...` or `seed NUMBER`, not 'queue'"),
        ("seed -1", "line 1: '-1' is not a whole number from 0 to 9223372036854775807"),
        ("queue 65536", "line 1: '65536' is not a whole number from 0 to 65535"),
        ("queue ١", "line 1: '١' is not a whole number from 0 to 65535"),
        ("queue 1\nqueue 1", "line 2: queue 1 is named twice"),
        ("queue 1 delay=20", "line 1: delay=20: a duration has its unit (us, ms, s), as in delay=20ms"),
        ("queue 1 jitter=-5ms", "line 1: jitter=-5ms: a duration has its unit (us, ms, s), as in jitter=20ms"),
        ("queue 1 delay=5%", "line 1: delay=5%: a duration has its unit (us, ms, s), as in delay=20ms"),
        ("queue 1 delay=5.1s", "line 1: delay=5.1s: more than 5 s is not supported"),
        ("queue 1 delay=1ms delay=2ms", "line 1: delay is named twice"),
        ("queue 1 corruption=0.1", "line 1: corruption=0.1: a share is written from 0% to 100%"),
        ("queue 1 reordering=101%", "line 1: reordering=101%: a share is written from 0% to 100%"),
        ("queue 1 loss=1%", "line 1: 'loss=1%' is not one of delay, jitter, corruption, duplication, reordering"),
        ("\n".join(f"queue {number}" for number in range(4097)), "line 4097: more than 4096 queues"),
    ],
)
def test_invalid_states_are_refused(text: str, error: str) -> None:
    with pytest.raises(InvalidStateError) as refused:
        parse_state(text)
    assert (str(refused.value), refused.value.status) == (error, 2)


durations = st.integers(0, 5_000_000).map(lambda us: us * 1000)
shares = st.integers(0, 10_000).map(lambda n: n / 10_000)


@given(st.dictionaries(st.integers(0, 65535), st.builds(QueueImpairment, durations, durations, shares, shares, shares)))
def test_states_round_trip(queues: dict[int, QueueImpairment]) -> None:
    read = parse_state(format_state(ShaperState(queues, 5)))
    assert read.seed == 5
    assert read.queues.keys() == queues.keys()
    for queue, impairment in queues.items():
        other = read.queues[queue]
        assert (other.delay_ns, other.jitter_ns) == (impairment.delay_ns, impairment.jitter_ns)
        for name in ("corruption", "duplication", "reordering"):
            assert getattr(other, name) == pytest.approx(getattr(impairment, name))


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidStateError):
        parse_state(text)


def test_impairments_are_formatted() -> None:
    asked = QueueImpairment(20 * MS, MS // 2, 0.01, 0.005, 0.25)
    assert format_impairment(asked) == "delay=20ms jitter=0.5ms corruption=1% duplication=0.5% reordering=25%"
    assert format_impairment(QueueImpairment()) == ""


@pytest.mark.parametrize(
    ("queues", "patience_ns"),
    [
        ({}, 0),
        ({1: QueueImpairment(20 * MS)}, MS),
        ({1: QueueImpairment(20 * MS), 2: QueueImpairment(MS)}, MS // 2),
        ({1: QueueImpairment(20 * MS, 19 * MS)}, MS // 2),
        ({1: QueueImpairment(5 * MS, 20 * MS)}, 0),
        ({1: QueueImpairment(20 * MS, reordering=0.1)}, 0),
        ({1: QueueImpairment(20 * MS), 2: QueueImpairment(corruption=0.1)}, 0),
    ],
)
def test_patience_never_makes_a_packet_late(queues: dict[int, QueueImpairment], patience_ns: int) -> None:
    assert ShaperState(queues).patience_ns == patience_ns
