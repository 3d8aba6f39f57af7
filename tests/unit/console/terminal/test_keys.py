"""A terminal's bytes are keys, however they are cut."""

from __future__ import annotations

import pytest

from torrentnet.console.terminal.keys import MAX_SEQUENCE, Key, KeyReader


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"a\xc3\xbc", ["a", "\xfc"]),
        (b"\x1b[A\x1bOB", [Key.UP, Key.DOWN]),
        (b"\x1b[1;5C\x1b[1;3D", [Key.WORD_RIGHT, Key.WORD_LEFT]),
        (b"\x1b[3~\x1b[7~", [Key.DELETE, Key.HOME]),
        (b"\x1bf\x1b\x7f", [Key.WORD_RIGHT, Key.KILL_WORD]),
        (b"\r\n\n", [Key.ENTER, Key.ENTER]),
        (b"\x1b[99~\x00x", ["x"]),
    ],
)
def test_keys_come_whole_and_byte_by_byte(data: bytes, keys: list[Key | str]) -> None:
    assert KeyReader().feed(data) == keys
    reader = KeyReader()
    assert [key for byte in data for key in reader.feed(bytes((byte,)))] == keys


def test_an_endless_sequence_uses_no_memory_and_ends() -> None:
    reader = KeyReader()
    assert reader.feed(b"\x1b[" + b"1;" * 100_000) == []
    assert len(reader._sequence or "") <= MAX_SEQUENCE
    assert reader.feed(b"~ab") == ["a", "b"]
