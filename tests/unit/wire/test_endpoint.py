"""Addresses with a port keep their value in every form."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from torrentnet.wire.endpoint import (
    COMPACT_SIZE,
    Endpoint,
    address_text,
    endpoint_from_key,
    endpoint_key,
    pack_endpoint,
    pack_endpoint_key,
    unpack_endpoint,
    unpack_endpoints,
)

endpoints = st.builds(Endpoint, st.ip_addresses(v=4).map(str), st.integers(0, 65_535))


@given(endpoint=endpoints)
def test_compact_form_round_trip(endpoint: Endpoint) -> None:
    raw = pack_endpoint(endpoint)
    assert len(raw) == 6 == COMPACT_SIZE
    assert unpack_endpoint(raw) == endpoint
    assert str(endpoint) == f"{endpoint.ip}:{endpoint.port}"


@given(endpoint=endpoints)
def test_endpoint_key_round_trip(endpoint: Endpoint) -> None:
    key = endpoint_key(*endpoint)
    assert 0 <= key < 1 << 48
    assert endpoint_from_key(key) == endpoint
    assert pack_endpoint_key(key) == pack_endpoint(endpoint)
    assert address_text(key >> 16) == endpoint.ip


@given(listed=st.lists(endpoints, max_size=5))
def test_a_compact_list_loses_only_port_zero(listed: list[Endpoint]) -> None:
    raw = b"".join(map(pack_endpoint, listed))
    assert unpack_endpoints(raw) == tuple(endpoint for endpoint in listed if endpoint.port)
