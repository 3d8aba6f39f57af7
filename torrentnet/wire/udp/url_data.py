"""Options behind an announce request (BEP 41).

Their URL data carries a file's name to the tracker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

from torrentnet.wire.errors import InvalidNameError, PacketError
from torrentnet.wire.info import MAX_FILE_SIZE, MAX_PIECE_LENGTH, MAX_PIECES, piece_count
from torrentnet.wire.names import canonical_name, check_file_name, check_peer_name

_END, _NOP, _URL_DATA = 0, 1, 2
_MAX_OPTION: Final = 255
_MAX_FIELDS: Final = 16
_PATH: Final = "/announce"


@dataclass(frozen=True, slots=True)
class Publication:
    """The fields in the URL data of an announce, about a peer and its file."""

    name: str | None = None
    """The file's name."""
    size: int | None = None
    """The file's size in bytes."""
    piece_length: int | None = None
    """Bytes of a piece."""
    peer: str | None = None
    """The peer's name."""
    extended: bool = False
    """Whether the peer uses this project's extension: it then follows the tracker's keep-alive exactly."""


def pack_publication(publication: Publication) -> bytes:
    """Return the BEP 41 options that carry ``publication``."""
    fields: list[str] = []
    if publication.extended:
        fields.append("tn=1")
    if publication.name is not None:
        fields.append("name=" + quote(publication.name, safe=""))
    if publication.size is not None:
        fields.append(f"size={publication.size}")
    if publication.piece_length is not None:
        fields.append(f"piece={publication.piece_length}")
    if publication.peer is not None:
        fields.append("peer=" + quote(publication.peer, safe=""))
    return pack_url_data(f"{_PATH}?{'&'.join(fields)}".encode("ascii"))


def pack_url_data(url: bytes) -> bytes:
    """Return ``url`` as URL data options (BEP 41).

    There is one option for every 255 bytes. The reader joins them.
    """
    parts = [url[start : start + _MAX_OPTION] for start in range(0, len(url), _MAX_OPTION)]
    return b"".join(bytes((_URL_DATA, len(part))) + part for part in parts)


def parse_url_data(options: bytes) -> bytes:
    """Return the joined URL data in ``options``; empty when there is none.

    Unknown options are skipped and everything behind the end option is ignored, as BEP 41 demands. Raises
    :class:`PacketError` (sendable) when an option runs past the end.
    """
    url = b""
    position = 0
    while position < len(options):
        kind = options[position]
        position += 1
        if kind == _END:
            break
        if kind == _NOP:
            continue
        if position >= len(options) or position + 1 + options[position] > len(options):
            raise PacketError("announce option runs past the end of the packet", sendable=True)
        length = options[position]
        if kind == _URL_DATA:
            url += options[position + 1 : position + 1 + length]
        position += 1 + length
    return url


def parse_publication(options: bytes) -> Publication:
    """Parse the options of an announce request.

    Raises :class:`PacketError` (sendable) for a bad name or number.
    """
    url = parse_url_data(options)
    if not url:
        return Publication()
    try:
        query = urlsplit(url.decode("ascii")).query
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        raise PacketError("announce URL data cannot be read", sendable=True) from None
    fields = dict(pairs)
    try:
        name = canonical_name(check_file_name(fields["name"])) if "name" in fields else None
        peer = check_peer_name(fields["peer"]) if "peer" in fields else None
    except InvalidNameError as error:
        raise PacketError(error.message, sendable=True) from None
    size = _number(fields, "size", 0, MAX_FILE_SIZE)
    piece_length = _number(fields, "piece", 1, MAX_PIECE_LENGTH)
    if size is not None and piece_length is not None and piece_count(size, piece_length) > MAX_PIECES:
        pieces = piece_count(size, piece_length)
        raise PacketError(f"announce URL data: {pieces} pieces, at most {MAX_PIECES} are allowed", sendable=True)
    return Publication(name=name, size=size, piece_length=piece_length, peer=peer, extended=fields.get("tn") == "1")


def _number(fields: dict[str, str], key: str, least: int, most: int) -> int | None:
    text = fields.get(key)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and least <= int(text) <= most):
        raise PacketError(f"announce URL data: {key} is {text[:24]!r}", sendable=True)
    return int(text)
