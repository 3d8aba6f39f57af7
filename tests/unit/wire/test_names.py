"""File and peer names: data from the network, never a path."""

from __future__ import annotations

import os.path
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.wire import names
from torrentnet.wire.errors import InvalidNameError

GOOD_FILE_NAMES = [
    "myfile.txt",
    "with some spaces.txt",
    " leading and trailing ",
    "Grüße, 世界 🌍.txt",
    "e\u0301 and \u00e9 are two names",
    ".hidden",
    "...",
    "..a",
    "a..b",
    "-rf",
    "~",
    "$HOME",
    "%2e%2e%2f",
    "C:autoexec.bat",
    "CON",
    "a?b*c|d<e>f\"g'h",
    "\u00a0",
    "x" * 255,
]
BAD_FILE_NAMES = [
    "",
    ".",
    "..",
    "/",
    "/etc/passwd",
    "../../etc/passwd",
    "a/b",
    "a/",
    "a\\b",
    "..\\..\\boot.ini",
    "a\0b",
    "a\nb",
    "a\rb",
    "a\tb",
    "\x1b[2J",
    "\x7f",
    "\x9b31m",
    "gpj.\u202eexe",
    "zero\u200bwidth",
    "\ufeffbom",
    "soft\u00adhyphen",
    "line\u2028end",
    "paragraph\u2029end",
    "half \ud800 a code point",
    "x" * 256,
    "ü" * 128,
]
BAD_BYTES = [
    b"\xc0\xae\xc0\xae\xc0\xafetc",  # overlong ../
    b"\xe0\x80\xaf",  # overlong /
    b"\xc0\x80",  # overlong NUL
    b"\xed\xa0\x80",  # a surrogate
    b"\xf4\x90\x80\x80",  # past the last code point
    b"\xff\xfe",
    b"caf\xe9",
    b"cut \xe4\xb8",
]


@pytest.mark.parametrize("name", GOOD_FILE_NAMES)
def test_valid_names_are_accepted(name: str) -> None:
    assert names.check_file_name(name) == name
    assert names.decode_file_name(name.encode("utf-8")) == name


@pytest.mark.parametrize("name", BAD_FILE_NAMES)
def test_refused(name: str) -> None:
    with pytest.raises(InvalidNameError):
        names.check_file_name(name)
    with pytest.raises(InvalidNameError):
        names.check_peer_name(name)
    with pytest.raises(InvalidNameError):
        names.decode_file_name(name.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("raw", BAD_BYTES)
def test_invalid_utf8_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidNameError, match="file name is not UTF-8"):
        names.decode_file_name(raw)
    with pytest.raises(InvalidNameError, match="peer name is not UTF-8"):
        names.decode_peer_name(raw)


@given(name=st.text(max_size=300))
def test_a_valid_name_stays_in_its_directory(name: str) -> None:
    try:
        names.check_file_name(name)
    except InvalidNameError:
        return
    assert os.path.normpath(os.path.join("/data", name)) == "/data/" + name
    assert PurePosixPath("/data", name).parent == PurePosixPath("/data")
    assert len(os.fsencode(name)) <= names.MAX_FILE_NAME
    assert len(name.splitlines()) == 1


@given(raw=st.binary(max_size=80))
def test_a_valid_peer_name_is_one_word(raw: bytes) -> None:
    try:
        name = names.decode_peer_name(raw)
    except InvalidNameError:
        return
    assert name.split() == [name]
    assert name.encode("utf-8") == raw


def test_limits_count_bytes() -> None:
    assert names.check_file_name("ü" * 127 + "x")
    with pytest.raises(InvalidNameError):
        names.check_file_name("ü" * 127 + "xy")
    assert len("ü" * 127 + "x") < names.MAX_FILE_NAME
    assert names.check_peer_name("p" * names.MAX_PEER_NAME)
    with pytest.raises(InvalidNameError):
        names.check_peer_name("p" * (names.MAX_PEER_NAME + 1))


@pytest.mark.parametrize("name", ["seeder-1", "leecher_2", "a.b", "Zoë", "x"])
def test_peer_names(name: str) -> None:
    assert names.decode_peer_name(names.check_peer_name(name).encode()) == name


@pytest.mark.parametrize("name", ["seeder 1", " ", "a\u00a0b", "a\u3000b", "a\tb"])
def test_a_peer_name_holds_no_blank(name: str) -> None:
    with pytest.raises(InvalidNameError):
        names.check_peer_name(name)


def test_a_message_quotes_at_most_a_names_length() -> None:
    for name in ("/" * 60_000, "\0" * 60_000, " " * 60_000):
        for check in (names.check_file_name, names.check_peer_name):
            with pytest.raises(InvalidNameError) as refused:
                check(name)
            assert len(refused.value.message) < 100
