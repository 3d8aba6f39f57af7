"""Connection ids: short-lived, and bound to secret, address and time.

They are never mistaken for an action.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.wire.udp.connection_id import CLIENT_LIFETIME, LIFETIME, ConnectionIds
from torrentnet.wire.udp.packets import Action

SECRET = bytes(range(32))
IP = "198.18.0.4"
addresses = st.ip_addresses(v=4).map(str)
seconds = st.floats(0, 10_000_000)


@given(ip=addresses, started=seconds, age=seconds)
def test_an_id_that_was_just_issued_is_accepted(ip: str, started: float, age: float) -> None:
    ids = ConnectionIds(SECRET, started)
    assert ids.accepts(ids.issue(ip, started + age), ip, started + age)


@given(ip=addresses, other=addresses, age=st.floats(0, 100))
def test_an_id_is_not_accepted_from_another_address(ip: str, other: str, age: float) -> None:
    ids = ConnectionIds(SECRET, 0.0)
    assert ids.accepts(ids.issue(ip, age), other, age) == (ip == other)


def test_the_id_changes_with_secret_address_and_time() -> None:
    issued = {
        ConnectionIds(SECRET, 0.0).issue(IP, 5.0),
        ConnectionIds(SECRET[::-1], 0.0).issue(IP, 5.0),
        ConnectionIds(SECRET, 0.0).issue("198.18.0.5", 5.0),
        ConnectionIds(SECRET, 0.0).issue(IP, 6.0),
    }
    assert len({number & 0xFFFFFFFF for number in issued}) == 4


def test_every_byte_of_a_secret_of_up_to_64_counts() -> None:
    secret = bytearray(64)
    issued = {ConnectionIds(bytes(secret), 0.0).issue(IP, 0.0)}
    for at in range(64):
        secret[at] = 1
        issued.add(ConnectionIds(bytes(secret), 0.0).issue(IP, 0.0))
    assert len(issued) == 65


def test_an_id_lives_two_minutes() -> None:
    ids = ConnectionIds(SECRET, 1000.0)
    issued = ids.issue(IP, 1050.0)
    assert ids.accepts(issued, IP, 1050.0 + LIFETIME)
    assert not ids.accepts(issued, IP, 1050.0 + LIFETIME + 1)
    assert not ids.accepts(issued, IP, 1050.0 + 10 * LIFETIME)
    assert CLIENT_LIFETIME < LIFETIME


def test_an_id_from_the_future_is_refused() -> None:
    ids = ConnectionIds(SECRET, 0.0)
    issued = ids.issue(IP, 61.0)
    assert not ids.accepts(issued, IP, 60.0)
    assert not ids.accepts(issued, IP, 0.0)


def test_an_id_of_an_earlier_run_is_refused() -> None:
    issued = ConnectionIds(SECRET, 0.0).issue(IP, 50.0)
    assert not ConnectionIds(SECRET[::-1], 49.0).accepts(issued, IP, 50.0)
    assert not ConnectionIds(SECRET[::-1], 0.0).accepts(issued, IP, 50.0)


@pytest.mark.parametrize("bit", range(64))
def test_no_bit_of_an_id_can_be_changed(bit: int) -> None:
    ids = ConnectionIds(SECRET, 0.0)
    assert not ids.accepts(ids.issue(IP, 50.0) ^ (1 << bit), IP, 50.0)


@given(forged=st.integers(0, 2**64 - 1))
def test_a_guessed_id_is_refused(forged: int) -> None:
    ids = ConnectionIds(SECRET, 0.0)
    assert ids.accepts(forged, IP, 1.0) == (forged in {ids.issue(IP, 0.0), ids.issue(IP, 1.0)})


@given(ip=addresses, age=seconds)
def test_no_id_begins_with_an_action(ip: str, age: float) -> None:
    issued = ConnectionIds(SECRET, 0.0).issue(ip, age)
    assert 0 < issued < 2**64
    assert issued >> 32 not in set(Action)


def test_golden() -> None:
    assert ConnectionIds(SECRET, 0.0).issue("198.18.0.4", 42.0) == 0x0001002A7772A55F


def test_a_short_secret_is_refused() -> None:
    ConnectionIds(bytes(16), 0.0)
    with pytest.raises(ValueError, match="at least 16 bytes"):
        ConnectionIds(bytes(15), 0.0)
