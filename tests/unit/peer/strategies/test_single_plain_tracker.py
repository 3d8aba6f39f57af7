"""``get`` with a tracker that speaks BEP 15 and nothing else: a magnet link or a .torrent takes the name's place."""

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
    """Answers as opentracker does: no names, no extension, and the asker is in its own list."""

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
    """The world's tracker knows no names."""
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
def test_a_file_comes_from_whom_the_announce_lists(world: World, plain: PlainTracker, how: type) -> None:
    source = world.source()
    getter = world.getter(**how(source))
    assert getter.until_ended() is Phase.DONE
    assert getter.path.read_bytes() == world.data
    (completed,) = getter.named("completed")
    assert completed["sources"] == f"{source.endpoint}:41"
    # It was in the list itself, and did not pick itself.
    assert [picked["address"] for picked in getter.named("picked")] == [source.endpoint]
    assert packets.Action.LOOKUP not in plain.actions
    assert packets.Action.OUTCOME not in plain.actions
    left = plain.peers[source.store.info.info_hash]
    assert left == {source.endpoint: 0, getter.endpoint: 0}


def test_it_asks_again_until_a_seed_is_there(world: World, plain: PlainTracker) -> None:
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


def test_who_is_whole_asks_for_no_peers(world: World, plain: PlainTracker) -> None:
    source = world.source()
    getter = world.getter(**by_torrent(source))
    assert getter.until_ended() is Phase.DONE
    plain.wanted.clear()
    getter.run(30.0)
    source.member.run(30.0)
    assert set(plain.wanted) <= {0}


def test_by_name_alone_the_reason_is_told(world: World, plain: PlainTracker) -> None:
    world.source()
    getter = world.getter(patience=Timeouts(give_up=10.0))
    assert getter.until_ended() is Phase.FAILED
    assert (
        getter.download.failure == "the tracker speaks BEP 15 but does not answer when asked for 'myfile.txt' by name"
    )
    assert "magnet link" in getter.download.hint


def test_with_our_own_tracker_a_torrent_serves_as_well(tmp_path: Path, world: World) -> None:
    source = world.source()
    getter = world.getter(**by_torrent(source))
    assert getter.until_ended() is Phase.DONE
    assert [event.name for event in world.tracker.named("completed")] == ["completed"]
    # Nobody asked for a name, so there is no request in the log.
    assert not world.tracker.named("request", "outcome")
