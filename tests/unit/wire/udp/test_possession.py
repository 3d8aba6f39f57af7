"""Possession reports: round trips, and checks of every window."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.unit.wire.samples import HASH, PEER, a_report, possesseds
from torrentnet.wire.errors import PacketError
from torrentnet.wire.info import MAX_PIECES
from torrentnet.wire.piece_set import MAX_WINDOW, PieceSet
from torrentnet.wire.udp.packets import parse_reply
from torrentnet.wire.udp.possession import (
    PossessionReply,
    pack_possession,
    pack_possession_reply,
    parse_possession,
    parse_possession_reply,
)


@given(possessed=possesseds)
def test_possession_reply_round_trip(possessed: PossessionReply) -> None:
    assert parse_possession_reply(parse_reply(pack_possession_reply(possessed))) == possessed


@pytest.mark.parametrize(
    "changed",
    [
        {"pieces": 23},
        {"first": 1},
        {"pieces": MAX_PIECES + 1},
        {"pieces": 2**32 - 1},
        {"first": 2**32 - 1, "pieces": MAX_PIECES},
        {"count": 2**32 - 1},
        {"count": MAX_WINDOW + 1, "pieces": MAX_PIECES},
    ],
)
def test_a_window_outside_the_file_is_refused(changed: dict[str, int]) -> None:
    with pytest.raises(PacketError, match="possession: window") as refused:
        parse_possession(a_report(**changed))
    assert refused.value.sendable


def test_window_limits() -> None:
    packet = pack_possession(1, 2, 3, HASH, PEER, PieceSet.full(MAX_PIECES), MAX_PIECES - MAX_WINDOW, MAX_WINDOW)
    assert parse_possession(packet).window.is_full
    assert parse_possession(a_report(pieces=MAX_PIECES)).pieces == MAX_PIECES


def test_a_report_of_an_empty_file() -> None:
    report = parse_possession(pack_possession(1, 2, 3, HASH, PEER, PieceSet(0), 0, 0))
    assert (report.pieces, report.first, report.window) == (0, 0, PieceSet(0))
