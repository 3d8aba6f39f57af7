"""``get`` with a tracker that speaks BEP 15 only.

A magnet link or a .torrent replaces the file's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.peer.streams import PIECE
from torrentnet.peer.strategies.base import Phase
from torrentnet.peer.strategies.task import Timeouts
from torrentnet.peer.tracker_client.membership import Membership
from torrentnet.wire.endpoint import Endpoint, pack_endpoint
from torrentnet.wire.errors import PacketError
from torrentnet.wire.udp import packets

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.peer.strategies.world import Source, World

INTERVAL = 1_800


class PlainTracker:
    """A tracker that replies as opentracker does.

    It has no names and no extension, and its list includes the requesting peer.
    """

    def __init__(self) -> None:
        self.peers: dict[bytes, dict[Endpoint, int]] = {}
        self.actions: list[int] = []
        self.wanted: list[int] = []

    def handle(self, data: bytes, source: tuple[str, int], now: float) -> bytes | None:
        head = packets.parse_head(data)
        self.actions.append(head.action)
        if head.action == packets.Action.CONNECT:
            return packets.pack_connect_reply(head.transaction_id, 77)
        try:
            announce = packets.parse_announce(data)
        except PacketError:
            return None
        if head.action != packets.Action.ANNOUNCE:
            return None
        self.wanted.append(announce.want)
        peers = self.peers.setdefault(announce.info_hash, {})
        endpoint = Endpoint(source[0], announce.port)
        if announce.event == packets.AnnounceEvent.STOPPED:
            peers.pop(endpoint, None)
        else:
            peers[endpoint] = announce.left
        seeds = sum(not left for left in peers.values())
        listed = b"".join(pack_endpoint(peer) for peer in peers) if announce.want else b""
        return packets.pack_announce_reply(head.transaction_id, INTERVAL, len(peers) - seeds, seeds, listed)


@pytest.fixture
def plain(world: World) -> PlainTracker:
    """Replace the world's tracker by one that knows no names."""
    tracker = PlainTracker()
    world.tracker = tracker  # type: ignore[assignment]  # it is asked nothing else
    return tracker


def by_torrent(source: Source) -> dict[str, Any]:
    info = source.store.info
    return {"known": Membership.from_info(info, info.name), "info": info}


def by_magnet(source: Source) -> dict[str, Any]:
    info = source.store.info
    return {"known": Membership(info.info_hash, info.name, 0, 0)}


@pytest.mark.parametrize("how", [by_torrent, by_magnet])
def test_the_peers_of_an_announce_are_sources(world: World, plain: PlainTracker, how: type) -> None:
    source = world.source()
    getter = world.getter(**how(source))
    assert getter.until_ended() is Phase.DONE
    assert getter.path.read_bytes() == world.data
    (completed,) = getter.fields_of("completed")
    assert completed["sources"] == f"{source.endpoint}:41"
    # The list had the getter too, which did not select itself.
    assert [picked["address"] for picked in getter.fields_of("picked")] == [source.endpoint]
    assert packets.Action.LOOKUP not in plain.actions
    assert packets.Action.OUTCOME not in plain.actions
    left = plain.peers[source.store.info.info_hash]
    assert left == {source.endpoint: 0, getter.endpoint: 0}


def test_announces_repeat_until_a_seed_is_listed(world: World, plain: PlainTracker) -> None:
    source = world.source(publish=False)
    getter = world.getter(**by_torrent(source))
    getter.run(3.0)
    assert not getter.ended
    asked = len(plain.wanted)
    assert asked >= 4
    source.publish()
    # It does not wait for the tracker's half an hour.
    assert getter.run(10.0, lambda: getter.ended)
    assert getter.download.phase is Phase.DONE


def test_a_source_that_dies_is_replaced_by_the_next_one(world: World, plain: PlainTracker) -> None:
    first, second = world.source(), world.source()
    first.dies_after = second.dies_after = 10 * PIECE
    third = world.source()
    getter = world.getter(**by_torrent(third))
    assert getter.until_ended() is Phase.DONE
    assert getter.path.read_bytes() == world.data


def test_a_complete_peer_asks_for_no_peers(world: World, plain: PlainTracker) -> None:
    source = world.source()
    getter = world.getter(**by_torrent(source))
    assert getter.until_ended() is Phase.DONE
    plain.wanted.clear()
    getter.run(30.0)
    source.member.run(30.0)
    assert set(plain.wanted) <= {0}


def test_a_name_alone_fails_with_the_reason(world: World, plain: PlainTracker) -> None:
    world.source()
    getter = world.getter(patience=Timeouts(give_up=10.0))
    assert getter.until_ended() is Phase.FAILED
    assert (
        getter.download.failure == "the tracker speaks BEP 15 but does not answer when asked for 'myfile.txt' by name"
    )
    assert "magnet link" in getter.download.hint


def test_a_torrent_works_with_our_own_tracker_too(tmp_path: Path, world: World) -> None:
    source = world.source()
    getter = world.getter(**by_torrent(source))
    assert getter.until_ended() is Phase.DONE
    assert [event.name for event in world.tracker.named("completed")] == ["completed"]
    # No name was looked up, so the log has no request.
    assert not world.tracker.named("request", "outcome")
