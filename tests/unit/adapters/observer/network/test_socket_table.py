"""Sockets are read from the kernel's tables; they decide whether a node is up."""

from __future__ import annotations

import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.adapters.observer.network.socket_table import (
    LISTEN_GRACE,
    OpenSocket,
    Readiness,
    SocketOwner,
    parse_table,
    read_sockets,
)
from torrentnet.wire.endpoint import Endpoint

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
REST = "00000000:00000000 00:00000000 00000000 10001        0 4711 1 0 100 0 0 10 0"
OWN = "198.18.0.5"
LISTEN = Endpoint("127.0.0.1", 6881)


def line(address: str, state: str) -> str:
    return f"   0: {address} 00000000:0000 {state} {REST}\n"


def tcp(address: str, port: int) -> OpenSocket:
    return OpenSocket("tcp", Endpoint(address, port), 0, 1)


def udp(address: str, port: int) -> OpenSocket:
    return OpenSocket("udp", Endpoint(address, port), 0, 1)


def test_what_listens_is_found_with_its_user() -> None:
    text = HEAD + line("0100007F:1AE1", "0A") + line("0100007F:1AE2", "01")
    assert list(parse_table("tcp", text)) == [OpenSocket("tcp", Endpoint("127.0.0.1", 6881), 10001, 4711)]
    assert [one.address.port for one in parse_table("udp", HEAD + line("00000000:1A73", "07"))] == [6771]


def test_ipv4_in_ipv6_form_is_ipv4() -> None:
    mapped, wildcard, other = "0000000000000000FFFF00000100007F", "0" * 32, "0" * 24 + "01000000"
    text = HEAD + "".join(line(f"{address}:1AE1", "0A") for address in (mapped, wildcard, other))
    assert [one.address.ip for one in parse_table("tcp", text)] == ["127.0.0.1", "0.0.0.0"]


def test_dockers_resolver_is_no_socket_of_the_program() -> None:
    assert not list(parse_table("udp", HEAD + line("0B00007F:8000", "07")))


@given(st.text(max_size=200))
def test_any_text_is_a_table(text: str) -> None:
    list(parse_table("tcp", HEAD + text))


def test_the_sockets_of_this_machine_are_read() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as four,
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as both,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(("127.0.0.1", 0))
        found = {(one.protocol, *one.address) for one in read_sockets(SocketOwner(os.getuid()))}
        assert ("tcp", *four.getsockname()) in found
        assert ("tcp", "0.0.0.0", both.getsockname()[1]) in found
        assert ("udp", *datagrams.getsockname()) in found


def test_in_a_shared_network_the_programs_own_descriptors_decide() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = Endpoint(*server.getsockname())
        assert address in {one.address for one in read_sockets(SocketOwner(None, lambda: [os.getpid()]))}
        assert address in {one.address for one in read_sockets(SocketOwner(None))}
        assert address not in {one.address for one in read_sockets(SocketOwner(None, list))}
        assert address not in {one.address for one in read_sockets(SocketOwner(1))}


def test_a_tracker_is_up_with_its_udp_socket() -> None:
    ready = Readiness("tracker", Endpoint("127.0.0.1", 6771), OWN, 10.0, 100.0)
    assert not ready.check([tcp("0.0.0.0", 6771)], 101.0, called_tracker=False)
    assert ready.check([udp("127.0.0.1", 5), udp("0.0.0.0", 6771)], 101.0, called_tracker=False)
    assert ready.address == (OWN, 6771)


def test_a_peer_is_up_when_it_listens_and_has_called_the_tracker() -> None:
    ready = Readiness("get", LISTEN, OWN, 10.0, 100.0)
    assert not ready.check([], 100.1, called_tracker=True)
    assert not ready.check([tcp("127.0.0.1", 6881)], 100.2, called_tracker=False)
    assert ready.check([tcp("127.0.0.1", 6881)], 100.3, called_tracker=True)
    assert ready.address == LISTEN


def test_a_peer_that_only_listens_is_up_after_a_second() -> None:
    ready = Readiness("share", LISTEN, OWN, 10.0, 100.0)
    assert not ready.check([tcp("127.0.0.1", 6881)], 103.0, called_tracker=False)
    assert ready.check([tcp("127.0.0.1", 6881)], 103.0 + LISTEN_GRACE, called_tracker=False)


def test_a_program_without_sockets_is_up_after_its_time() -> None:
    ready = Readiness("get", LISTEN, OWN, 10.0, 100.0)
    assert not ready.check([], 109.9, called_tracker=False)
    assert ready.check([], 110.0, called_tracker=False)
    assert ready.address is None


@pytest.mark.parametrize(
    ("role", "reason"),
    [
        ("tracker", "the program has opened no UDP socket within 10 s"),
        ("share", "the program has opened no TCP socket that listens within 10 s"),
    ],
)
def test_a_node_that_is_of_no_use_without_a_socket_is_named(role: str, reason: str) -> None:
    ready = Readiness(role, LISTEN, OWN, 10.0, 100.0)
    assert not ready.check([], 111.0, called_tracker=True)
    assert (ready.missing(109.0), ready.missing(111.0)) == ("", reason)
    assert ready.check([udp("0.0.0.0", 6881), tcp("0.0.0.0", 6881)], 112.0, called_tracker=True)
    assert ready.missing(112.0) == ""


def test_a_program_without_a_role_is_up_at_once() -> None:
    assert Readiness("run", None, OWN, 10.0, 100.0).check([], 100.0, called_tracker=False)
