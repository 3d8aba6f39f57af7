"""The limit on messages that carry no data."""

from __future__ import annotations

import pytest

from torrentnet.peer.scheduling.message_budget import BURST, HANDSHAKE_COST, RATE, MessageBudget
from torrentnet.wire.errors import PeerProtocolError
from torrentnet.wire.peer.extension_protocol import ExtensionHandshake
from torrentnet.wire.peer.messages import Cancel, Choke, Have, KeepAlive, Message, Port, Request, Unknown


@pytest.mark.parametrize("message", [KeepAlive(), Choke(), Port(1), Unknown(99), Cancel(0, 0, 1)], ids=str)
def test_a_flood_is_an_error(message: Message) -> None:
    budget = MessageBudget(0.0)
    for _ in range(BURST):
        budget.spend(message, 0.0)
    with pytest.raises(
        PeerProtocolError, match=f"floods this peer with messages, the last one {type(message).__name__}"
    ):
        budget.spend(message, 0.0)


def test_extension_handshakes_count_for_more() -> None:
    budget = MessageBudget(0.0)
    for _ in range(BURST // HANDSHAKE_COST):
        budget.spend(ExtensionHandshake(), 0.0)
    with pytest.raises(PeerProtocolError, match="ExtensionHandshake"):
        budget.spend(ExtensionHandshake(), 0.0)


def test_a_steady_peer_is_never_stopped() -> None:
    budget = MessageBudget(0.0)
    for number in range(20 * BURST):
        budget.spend(KeepAlive(), number / (RATE * 0.9))


def test_requests_and_new_pieces_are_free() -> None:
    budget = MessageBudget(0.0)
    for number in range(2 * BURST):
        budget.spend(Request(number, 0, 1), 0.0)
        budget.spend(Have(number), 0.0)
