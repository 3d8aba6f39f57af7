"""Outcome reports: round trips, size limits, and checks of every field."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.unit.wire.samples import an_outcome, outcomes, u32
from torrentnet.wire.endpoint import Endpoint
from torrentnet.wire.errors import PacketError
from torrentnet.wire.names import MAX_PEER_NAME
from torrentnet.wire.udp.outcome import (
    MAX_REASON,
    MAX_SOURCES,
    OutcomeReport,
    OutcomeSource,
    pack_outcome,
    pack_outcome_reply,
    parse_outcome,
    parse_outcome_reply,
)
from torrentnet.wire.udp.packets import MAX_DATAGRAM, parse_reply


@given(outcome=outcomes)
def test_outcome_round_trip(outcome: OutcomeReport) -> None:
    packet = pack_outcome(outcome)
    assert len(packet) <= MAX_DATAGRAM
    assert parse_outcome(packet) == outcome
    assert parse_outcome(packet + b"more") == outcome


@given(tid=u32, request=u32)
def test_outcome_reply_round_trip(tid: int, request: int) -> None:
    noted = parse_reply(pack_outcome_reply(tid, request))
    assert (noted.transaction_id, parse_outcome_reply(noted)) == (tid, request)


def test_source_limit() -> None:
    source = OutcomeSource(Endpoint("10.0.0.1", 6881), 5, "s" * MAX_PEER_NAME)
    packet = pack_outcome(an_outcome(sources=(source,) * 9, reason="r" * 300))
    assert len(packet) == 80 + 8 * (11 + MAX_PEER_NAME) + MAX_REASON <= MAX_DATAGRAM
    outcome = parse_outcome(packet)
    assert outcome.sources == (source,) * MAX_SOURCES
    assert outcome.reason == "r" * MAX_REASON
    many = bytearray(packet)
    many[76] = MAX_SOURCES + 1
    with pytest.raises(PacketError, match="9 sources"):
        parse_outcome(bytes(many))


def test_a_reason_is_cut_between_two_characters() -> None:
    outcome = parse_outcome(pack_outcome(an_outcome(reason="x" + "ü" * 200)))
    assert outcome.reason == "x" + "ü" * 127
    outcome = parse_outcome(pack_outcome(an_outcome(reason="caf\udce9")))
    assert outcome.reason == "caf?"


@pytest.mark.parametrize("result", [0, 3, 255])
def test_an_unknown_result_is_refused(result: int) -> None:
    packet = bytearray(pack_outcome(an_outcome()))
    packet[17] = result
    with pytest.raises(PacketError, match=f"result {result}") as refused:
        parse_outcome(bytes(packet))
    assert refused.value.sendable


def test_a_download_of_more_than_49_days_still_has_an_outcome() -> None:
    assert parse_outcome(pack_outcome(an_outcome(elapsed_ms=1 << 40))).elapsed_ms == 2**32 - 1


def test_displayed_texts_are_escaped() -> None:
    evil = Endpoint("10.0.0.1", 6881)
    outcome = an_outcome(sources=(OutcomeSource(evil, 1, "\x1b[2J"),), reason="a\x1b[2J\nb\u202ec")
    parsed = parse_outcome(pack_outcome(outcome))
    assert parsed.sources[0].name == "?"
    assert parsed.reason == "a?[2J?b?c"
