"""Metadata exchange with a source that behaves, and with many that do not."""

# Any of the steps may raise.
# ruff: noqa: PT012

from __future__ import annotations

import pytest

from tests.unit.peer.streams import PIECE, Leech, Script, content, info_of, wanting
from torrentnet.peer.transfer.metadata_exchange import MAX_PARTS_IN_FLIGHT, SourceError
from torrentnet.wire.errors import RemoteError
from torrentnet.wire.info import MAX_INFO_SIZE
from torrentnet.wire.peer.extension_protocol import (
    METADATA_ID,
    METADATA_PIECE,
    Metadata,
    MetadataKind,
    pack_metadata,
    parse_metadata,
)
from torrentnet.wire.peer.messages import Extended, Request, Unchoke

DATA = content(5 * PIECE + 3_000)
INFO = info_of(DATA)


def requested_parts(script: Script) -> list[int]:
    messages = [parse_metadata(message.payload) for message in script.of(Extended) if message.id == METADATA_ID]
    return [message.piece for message in messages if message and message.kind is MetadataKind.REQUEST]


def test_the_info_dictionary_is_downloaded_and_verified() -> None:
    script = wanting(INFO)
    assert requested_parts(script) == [0]
    script.give_info(0, INFO.raw)
    assert script.leech.info == INFO
    # A duplicate part is harmless.
    script.give_info(0, INFO.raw)
    script.say(Unchoke())
    for request in script.of(Request):
        start = request.piece * PIECE + request.begin
        script.block(request.piece, request.begin, DATA[start : start + request.length])
    assert script.leech.data == DATA


@pytest.mark.parametrize(("name", "in_flight"), [("seeder", MAX_PARTS_IN_FLIGHT), ("", 1)], ids=["ours", "another"])
def test_few_parts_are_requested_at_a_time(name: str, in_flight: int) -> None:
    """rTorrent 0.9.8 stops reading when a second part is requested too early."""
    info = info_of(bytes(16_384 * 12_000), 16_384)
    leech = Leech(info.info_hash)
    script = Script(leech, info)
    script.offer(name=name)
    parts = -(-len(info.raw) // METADATA_PIECE)
    assert parts > MAX_PARTS_IN_FLIGHT
    assert requested_parts(script) == list(range(in_flight))
    # Parts may arrive in any order, if several are requested.
    for part in (*range(1, parts), 0) if in_flight > 1 else range(parts):
        script.give_info(part, info.raw[part * METADATA_PIECE :][:METADATA_PIECE])
    assert sorted(requested_parts(script)) == list(range(parts))
    assert leech.info == info


def test_an_info_dictionary_with_the_wrong_hash_fails() -> None:
    with pytest.raises(SourceError, match="an info dictionary with the wrong SHA-1"):
        wanting(INFO).give_info(0, b"x" * len(INFO.raw))


@pytest.mark.parametrize("data", [b"", INFO.raw[:-1], INFO.raw + b"e"], ids=["empty", "short", "long"])
def test_a_part_of_the_wrong_size_fails(data: bytes) -> None:
    with pytest.raises(SourceError, match=f"sent {len(data)} bytes as part 0 of the info dictionary"):
        wanting(INFO).give_info(0, data)


def test_a_rejected_request_fails() -> None:
    with pytest.raises(SourceError, match="refused to send the info dictionary"):
        wanting(INFO).give_info(0, b"", MetadataKind.REJECT)


@pytest.mark.parametrize("size", [0, MAX_INFO_SIZE + 1, 1 << 62], ids=["none", "too-large", "absurd"])
def test_an_invalid_size_fails(size: int) -> None:
    with pytest.raises(SourceError, match="does not have the info dictionary"):
        wanting(INFO, size)


def test_a_large_size_takes_no_memory_in_advance() -> None:
    script = wanting(INFO, MAX_INFO_SIZE)
    assert requested_parts(script) == [0]


def test_a_size_that_changes_fails() -> None:
    """A second extension handshake announces fewer parts than are already requested."""
    script = wanting(INFO, 3 * METADATA_PIECE)
    with pytest.raises(RemoteError):
        script.give_info(0, b"x" * METADATA_PIECE)
        script.give_info(1, b"x" * METADATA_PIECE)
        script.offer(10)
        script.give_info(2, b"x" * METADATA_PIECE)


def test_unrequested_metadata_is_ignored() -> None:
    script = Script(Leech(INFO.info_hash), INFO)
    script.give_info(0, INFO.raw)
    assert script.leech.info is None
    script.offer()
    script.give_info(5, INFO.raw)
    assert script.leech.info is None
    script.give_info(0, INFO.raw)
    assert script.leech.info == INFO


def test_a_request_to_a_downloader_is_rejected() -> None:
    script = wanting(INFO)
    script.say(Extended(METADATA_ID, pack_metadata(Metadata(MetadataKind.REQUEST, 0))))
    assert parse_metadata(script.of(Extended)[-1].payload) == Metadata(MetadataKind.REJECT, 0)


def test_a_path_as_name_is_refused_despite_the_right_hash() -> None:
    evil = info_of(DATA, name="../../etc/passwd")
    script = Script(Leech(evil.info_hash), evil)
    script.offer()
    with pytest.raises(SourceError, match=r"file name '\.\./\.\./etc/passwd' holds '/'"):
        script.give_info(0, evil.raw)
