"""Malformed, forged and misleading packets change nothing."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

import pytest

from tests.unit.tracker.world import HASH, SIZE, TrackerError
from torrentnet.wire.udp.outcome import OutcomeResult
from torrentnet.wire.udp.packets import Action, AnnounceEvent, pack_connect
from torrentnet.wire.udp.url_data import pack_url_data

if TYPE_CHECKING:
    from tests.hostile.tracker.rig import Target

ACTIONS = (0, 1, 2, 3, 4, 99, *map(int, (Action.LOOKUP, Action.POSSESSION, Action.OUTCOME)))


def test_forged_source_changes_nothing(target: Target) -> None:
    """The sender has no id of its address: another's, one of the future, guessed."""
    victim, attacker = target.attacker("127.0.0.2"), target.attacker("127.0.0.3")
    theirs = victim.connection()
    before = target.peers()
    requests = [
        struct.pack(">QII", identifier, action, number) + HASH + b"-XT0100-forged.peer." + bytes(40) + b"\x1a\xe1"
        for identifier in (theirs, theirs + (1 << 40), theirs ^ 1, 0, 0xFFFFFFFFFFFFFFFF)
        for number, action in enumerate(ACTIONS)
    ]
    answers = attacker.answers(*requests)
    assert all(answer[:4] == struct.pack(">I", Action.ERROR) for answer in answers)
    assert sum(map(len, answers)) <= sum(map(len, requests))
    assert target.peers() == before
    assert len(attacker.send(pack_connect(5) + bytes(1_000))) == 16
    assert target.is_sound()


def test_short_and_random_packets_change_nothing(target: Target) -> None:
    attacker = target.attacker("127.0.0.3")
    identifier, before = attacker.connection(), target.peers()
    whole = struct.pack(">QII", identifier, 1, 7) + HASH + bytes(62)
    answers = attacker.answers(*(whole[:size] for size in range(98)))
    assert all(answer[:4] == struct.pack(">I", Action.ERROR) for answer in answers)
    noise = random.Random(11)
    for size in (0, 1, 15, 16, 98, 98, 98, 1_472, 2_047, 2_048, 9_000):
        attacker.fire(noise.randbytes(size))
        attacker.fire(struct.pack(">QII", identifier, 1, 8) + noise.randbytes(size) + bytes(2))
    assert target.is_sound()
    assert target.peers() - before <= 22


@pytest.mark.parametrize(
    ("at", "patch", "error"),
    [
        (80, struct.pack(">I", 5), "unknown event 5"),
        (80, struct.pack(">I", 0xFFFFFFFF), "unknown event 4294967295"),
        (80, struct.pack(">I", 4), ""),
        (96, b"\0\0", "port 0 cannot be connected to"),
        (84, b"\x08\x08\x08\x08", ""),
        (92, struct.pack(">i", 0x7FFFFFFF), ""),
        (92, struct.pack(">i", -0x80000000), ""),
    ],
)
def test_announce_fields(target: Target, at: int, patch: bytes, error: str) -> None:
    client = target.client("fields", "127.0.0.4", port=4_000, extended=False)
    packet = client.packet(AnnounceEvent.STARTED, left=5)
    packet = packet[:at] + patch + packet[at + len(patch) :]
    if error:
        with pytest.raises(TrackerError, match=error):
            client.ask(packet)
        return
    reply = client.ask(packet)
    assert len(reply.body) <= 12 + 6 * 200
    assert any("127.0.0.4:4000" in line for line in target.run("peers"))
    assert not any("8.8.8.8" in line for line in target.run("peers"))


@pytest.mark.parametrize(
    ("size", "is_error"), [(0, True), (19, True), (20, False), (39, True), (1_480, False), (1_500, True)]
)
def test_scrape_sizes(target: Target, size: int, is_error: bool) -> None:
    attacker = target.attacker("127.0.0.5")
    answer = attacker.send(struct.pack(">QII", attacker.connection(), 2, 9) + bytes(size))
    assert (answer[:4] == struct.pack(">I", Action.ERROR)) is is_error
    assert is_error or len(answer) == 8 + size // 20 * 12


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (b"\x02", "runs past the end"),
        (b"\x02\xff/announce", "runs past the end"),
        (b"\x01\x01\x80", "runs past the end"),
        (b"\x80\x05junk!", ""),
        (b"\x00\x02\xff", ""),
        (pack_url_data(b"/announce?name=a%2Fb"), "'/'"),
        (pack_url_data(b"/announce?name=..%2f.."), "'/'"),
        (pack_url_data(b"/announce?size=-1x"), "size is"),
        (b"\x02\x03\xff\xfe\xfd", "cannot be read"),
    ],
)
def test_options(target: Target, options: bytes, error: str) -> None:
    client = target.client("options", "127.0.0.6", port=4_001, extended=False)
    if error:
        with pytest.raises(TrackerError, match=error):
            client.announce(AnnounceEvent.STARTED, left=5, options=options)
    else:
        client.announce(AnnounceEvent.STARTED, left=5, options=options)
    client.announce(AnnounceEvent.STOPPED, left=5, options=b"")


def test_controls_never_reach_the_output(target: Target) -> None:
    client = target.client("leecher-1", "127.0.0.7")
    number = client.lookup("none.txt").request
    client.outcome(number, OutcomeResult.FAILED, reason="\x1b[2J\x1b]0;title\x07\u202egone\n2026-01-01 fake")
    for name in ("a\x1bb", "a\nb", "a\u202eb"):
        with pytest.raises(TrackerError, match="control character"):
            client.lookup(name)
    target.program.until("outcome", id=number)
    output = "\n".join([*target.program.lines, *target.run("request", "logs"), *target.run("file_logs", "-all")])
    assert output.replace("\n", "").isprintable()
    assert client.announce(AnnounceEvent.STOPPED, left=SIZE).interval == 5
