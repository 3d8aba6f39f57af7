"""Addresses on command lines."""

from __future__ import annotations

import pytest

from torrentnet.runtime.addresses import parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:6771", ("127.0.0.1", 6771)), ("tracker:0", ("tracker", 0)), ("a.b:65535", ("a.b", 65_535))],
)
def test_host_and_port_are_read(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "127.0.0.1", ":6771", "127.0.0.1:", ":"])
def test_a_part_that_is_missing_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not HOST:PORT; write for example `127\.0\.0\.1:6771`"):
        parse_address(text)


@pytest.mark.parametrize("port", ["http", "65536", "-1", "٣", "99999999999999999999", "0"])
def test_a_wrong_port_is_named_with_its_limits(port: str) -> None:
    with pytest.raises(ValueError, match=f"^`{port}` is not a port; write a number from 1 to 65535$"):
        parse_address(f"127.0.0.1:{port}", min_port=1)


@pytest.mark.parametrize("text", ["udp://10.0.0.1:6771", "udp://10.0.0.1:6771/announce?name=a"])
def test_link_is_refused_with_its_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"is a link of the kind udp; write its address alone: `10\.0\.0\.1:6771`$"):
        parse_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "[::1]:6771",
        "::1:6771",
        "[::1]",
        "::1",
        "::",
        "[::]:6881",
        "2001:db8::5",
        "fe80::1%eth0",
        "udp://[::1]:6771/announce",
    ],
)
def test_ipv6_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="looks like IPv6, which is not supported; write an IPv4 address: `127"):
        parse_address(text)
