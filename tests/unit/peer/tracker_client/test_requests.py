"""Requests are retried until they are answered; other datagrams are ignored."""

from __future__ import annotations

import random

import pytest

from torrentnet.peer.tracker_client.requests import (
    FIRST_TIMEOUT,
    JITTER,
    MAX_TIMEOUT,
    SILENCE_GRACE,
    SILENT_AFTER_TRIES,
    PendingRequests,
    RequestKind,
    TrackerErrorReply,
    TrackerReply,
)
from torrentnet.wire.udp import packets
from torrentnet.wire.udp.connection_id import CLIENT_LIFETIME
from torrentnet.wire.udp.outcome import pack_outcome_reply
from torrentnet.wire.udp.packets import Action

ID = 0x0123_4567_89AB_CDEF


def build(connection_id: int, transaction_id: int) -> bytes:
    return packets.pack_scrape(connection_id, transaction_id, (bytes(20),))


def connected() -> PendingRequests:
    """Requests with a valid connection id."""
    requests = PendingRequests(random.Random(3))
    tid = announce(requests)
    assert requests.receive_datagram(packets.pack_connect_reply(tid, ID), 0.0) is None
    requests.cancel(RequestKind.ANNOUNCE)
    return requests


def only(requests: PendingRequests, now: float) -> packets.RequestHead:
    (data,) = requests.datagrams_to_send(now)
    return packets.parse_head(data)


def announce(requests: PendingRequests, now: float = 0.0, tag: object = None) -> int:
    """Start and send an announce; return its transaction id."""
    requests.start(RequestKind.ANNOUNCE, build, now, tag)
    return only(requests, now).transaction_id


def announced(tid: int) -> bytes:
    return packets.pack_announce_reply(tid, 5, 0, 0, b"")


def test_one_connect_precedes_all_requests() -> None:
    requests = PendingRequests(random.Random(3))
    assert requests.due() is None
    assert requests.datagrams_to_send(0.0) == []
    requests.start(RequestKind.ANNOUNCE, build, 0.0)
    requests.start(RequestKind.LOOKUP, build, 0.0)
    head = only(requests, 0.0)
    assert (head.connection_id, head.action) == (packets.PROTOCOL_ID, Action.CONNECT)
    assert requests.datagrams_to_send(0.0) == []
    assert requests.receive_datagram(packets.pack_connect_reply(head.transaction_id, ID), 0.1) is None
    assert requests.due() == 0.1
    heads = [packets.parse_head(data) for data in requests.datagrams_to_send(0.1)]
    assert [head.connection_id for head in heads] == [ID, ID]
    assert len({head.transaction_id for head in heads}) == 2


def test_retries_back_off_and_keep_their_transaction_id() -> None:
    requests = connected()
    now, tid, pauses = 0.0, announce(requests), []
    for _ in range(7):
        due = requests.due()
        assert due is not None
        assert requests.datagrams_to_send(due - 0.001) == []
        sent = requests.datagrams_to_send(due)
        if not sent:  # the tracker counts as silent from now on
            due = requests.due()
            assert due is not None
            sent = requests.datagrams_to_send(due)
        assert [packets.parse_head(data).transaction_id for data in sent] == [tid]
        pauses.append(due - now)
        now = due
    for number, pause in enumerate(pauses):
        full = min(FIRST_TIMEOUT * 2**number, MAX_TIMEOUT)
        assert full * (1 - JITTER) <= pause <= full


def test_the_owner_can_set_the_longest_pause() -> None:
    requests = connected()
    requests.max_pause = 2.0
    requests.start(RequestKind.ANNOUNCE, build, 0.0)
    now = 0.0
    for _ in range(10):
        requests.datagrams_to_send(now)
        due = requests.due()
        assert due is not None
        # Jitter never delays a retry: a peer expires soon after the keep-alive interval.
        assert due - now <= 2.0
        now = due


def test_retries_of_many_peers_are_spread() -> None:
    dues = set()
    for seed in range(20):
        requests = PendingRequests(random.Random(seed))
        announce(requests)
        dues.add(requests.due())
    assert len(dues) == 20


def test_a_reply_is_accepted_once() -> None:
    requests = connected()
    tid = announce(requests, tag="mine")
    reply = requests.receive_datagram(announced(tid), 0.2)
    assert isinstance(reply, TrackerReply)
    assert (reply.kind, reply.tag) == (RequestKind.ANNOUNCE, "mine")
    assert not requests.is_pending(RequestKind.ANNOUNCE)
    assert requests.receive_datagram(announced(tid), 0.3) is None
    assert requests.due() is None


def test_a_reply_to_a_replaced_request_is_dropped() -> None:
    requests = connected()
    old = announce(requests, tag="old")
    requests.start(RequestKind.ANNOUNCE, build, 0.1, tag="new")
    assert requests.receive_datagram(announced(old), 0.2) is None
    new = only(requests, 0.2).transaction_id
    assert new != old
    reply = requests.receive_datagram(announced(new), 0.3)
    assert isinstance(reply, TrackerReply)
    assert reply.tag == "new"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1234567",
        packets.pack_connect_reply(99, ID),
        announced(99),
        packets.pack_error(99, "no"),
        pack_outcome_reply(99, 1),
        bytes(1472),
    ],
    ids=["empty", "short", "connect", "announce", "error", "outcome", "zeros"],
)
def test_an_unexpected_datagram_is_dropped(data: bytes) -> None:
    requests = connected()
    announce(requests)
    assert requests.receive_datagram(data, 0.1) is None
    assert requests.is_pending(RequestKind.ANNOUNCE)


def test_a_reply_with_the_wrong_action_is_dropped() -> None:
    requests = connected()
    tid = announce(requests)
    assert requests.receive_datagram(pack_outcome_reply(tid, 1), 0.1) is None
    assert isinstance(requests.receive_datagram(announced(tid), 0.2), TrackerReply)


def test_wrong_replies_to_connect_are_ignored() -> None:
    requests = PendingRequests(random.Random(3))
    tid = announce(requests)
    for data in (announced(tid), packets.pack_error(tid, "busy"), packets.pack_connect_reply(tid, ID)[:15]):
        assert requests.receive_datagram(data, 0.1) is None
    due = requests.due()
    assert due is not None
    assert only(requests, due).transaction_id == tid
    requests.receive_datagram(packets.pack_connect_reply(tid, ID), due)
    assert only(requests, due).connection_id == ID


def test_an_error_reply_ends_its_request() -> None:
    requests = connected()
    requests.start(RequestKind.LOOKUP, build, 0.0, tag=5)
    tid = only(requests, 0.0).transaction_id
    assert requests.receive_datagram(packets.pack_error(tid, "the tracker is full"), 0.1) == TrackerErrorReply(
        RequestKind.LOOKUP, "the tracker is full", 5
    )
    assert not requests.is_pending(RequestKind.LOOKUP)


def test_a_refused_connection_id_is_renewed_and_retried() -> None:
    requests = connected()
    tid = announce(requests, 10.0)
    assert requests.receive_datagram(packets.pack_error(tid, "connection id refused: connect again"), 10.1) is None
    head = only(requests, 10.1)
    assert head.action == Action.CONNECT
    requests.receive_datagram(packets.pack_connect_reply(head.transaction_id, ID + 1), 10.2)
    again = only(requests, 10.2)
    assert (again.connection_id, again.transaction_id) == (ID + 1, tid)


def test_connection_ids_are_renewed_at_most_once_a_second() -> None:
    requests = connected()
    requests.start(RequestKind.ANNOUNCE, build, 0.0)
    sent, now = [], 0.0
    while now < 30.0:
        for data in requests.datagrams_to_send(now):
            head = packets.parse_head(data)
            sent.append(head.action)
            if head.action == Action.CONNECT:
                requests.receive_datagram(packets.pack_connect_reply(head.transaction_id, ID), now)
            else:
                requests.receive_datagram(packets.pack_error(head.transaction_id, "connection id refused"), now)
        due = requests.due()
        assert due is not None
        now = max(due, now + 0.001)
    assert sent.count(Action.CONNECT) <= 31
    assert len(sent) <= 4 * 30


def test_a_connection_id_is_valid_for_a_minute() -> None:
    requests = connected()
    for now, action in ((CLIENT_LIFETIME - 0.1, Action.SCRAPE), (CLIENT_LIFETIME, Action.CONNECT)):
        requests.start(RequestKind.ANNOUNCE, build, now)
        assert only(requests, now).action == action


def test_silence_is_detected_and_ended_by_any_reply() -> None:
    requests = connected()
    tid, tries, now = announce(requests), 1, 0.0
    while not requests.tracker_silent:
        due = requests.due()
        assert due is not None
        now = due
        tries += len(requests.datagrams_to_send(now))
    assert tries == SILENT_AFTER_TRIES + 1
    assert now < 5.0
    assert isinstance(requests.receive_datagram(packets.pack_error(tid, "full"), now), TrackerErrorReply)
    assert not requests.tracker_silent


def test_one_lost_datagram_is_not_silence() -> None:
    requests = connected()
    announce(requests)
    due = requests.due()
    assert due is not None
    requests.datagrams_to_send(due)
    assert not requests.tracker_silent


def test_a_reply_to_one_request_ends_the_silence_of_all() -> None:
    requests = connected()
    tid, now = announce(requests), 0.0
    requests.start(RequestKind.OUTCOME, build, 0.0)
    while not requests.tracker_silent:
        now = requests.due() or now
        requests.datagrams_to_send(now)
    requests.receive_datagram(announced(tid), now)
    assert not requests.tracker_silent
    requests.datagrams_to_send(requests.due() or now)  # the outcome is sent again, and is not answered yet
    assert not requests.tracker_silent


def test_a_tracker_that_answers_the_next_try_at_once_was_not_silent() -> None:
    requests = connected()
    tid, tries, now = announce(requests), 1, 0.0
    while tries <= SILENT_AFTER_TRIES:
        now = requests.due() or now
        tries += len(requests.datagrams_to_send(now))
    assert not requests.tracker_silent
    assert requests.due() == now + SILENCE_GRACE
    requests.receive_datagram(announced(tid), now + 0.01)
    requests.datagrams_to_send(now + SILENCE_GRACE)
    assert not requests.tracker_silent
    assert requests.due() is None
