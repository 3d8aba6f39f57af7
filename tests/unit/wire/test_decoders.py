"""Every decoder, on whole input, on each prefix, on damaged input and on garbage."""

from __future__ import annotations

import inspect
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.wire.decoders import DECODERS, Decoder
from torrentnet.wire import bencode, info, names
from torrentnet.wire.peer import extension_protocol, handshake
from torrentnet.wire.udp import lookup, outcome, packets, possession, url_data

if TYPE_CHECKING:
    from types import ModuleType

each_decoder = pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.name)


def _parses(decoder: Decoder, data: bytes) -> bool:
    """Whether ``data`` is accepted; any error but the documented one fails the test."""
    try:
        decoder.parse(data)
    except decoder.error as error:
        refusal = error
    else:
        return True
    assert type(refusal) is decoder.error
    assert refusal.message.isprintable()
    assert len(refusal.message) < 400
    return False


@each_decoder
def test_whole_input_parses_and_its_prefixes_only_if_valid(decoder: Decoder) -> None:
    for sample, sizes in decoder.samples:
        assert _parses(decoder, sample)
        assert {size for size in range(len(sample)) if _parses(decoder, sample[:size])} == sizes


@each_decoder
@settings(max_examples=150)
@given(garbage=st.binary(max_size=300))
def test_garbage_parses_or_raises_the_documented_error(decoder: Decoder, garbage: bytes) -> None:
    _parses(decoder, garbage)


@each_decoder
def test_changed_input_parses_or_raises_the_documented_error(decoder: Decoder) -> None:
    # A failure shows its input, which needs no shrinking: it is a short sample with at most four changes.
    chance = random.Random()
    for _ in range(1_000):
        bent = bytearray(chance.choice(decoder.samples)[0])
        for _ in range(chance.randint(1, 4)):
            at = chance.randint(0, len(bent))
            end = chance.randint(at, min(len(bent), at + 4))
            size = chance.randint(0, 6)
            bent[at:end] = chance.choice((chance.randbytes(size), bytes(size), b"\xff" * size))
        _parses(decoder, bytes(bent))


@each_decoder
def test_any_byte_may_change(decoder: Decoder) -> None:
    for sample, _ in decoder.samples:
        for at in range(len(sample)):
            for byte in (0x00, 0x01, 0x2D, 0x30, 0x65, 0x7F, 0x80, 0xFF):
                _parses(decoder, sample[:at] + bytes((byte,)) + sample[at + 1 :])


@pytest.mark.parametrize(
    "module", [bencode, extension_protocol, handshake, info, lookup, names, outcome, possession, packets, url_data]
)
def test_every_decoder_is_in_the_list(module: ModuleType) -> None:
    room = module.__name__.rsplit(".", maxsplit=1)[-1]
    found = {
        f"{room}.{name}"
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and name.startswith(("parse_", "decode"))
    }
    assert found <= {decoder.name for decoder in DECODERS}
