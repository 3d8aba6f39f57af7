"""The lab's file and the packets between a lab and its supervisor."""

from __future__ import annotations

import pytest

from torrentnet.lab.engines.local.protocol import SupervisedLab, SupervisedNode, decode, encode

LAB = SupervisedLab(
    "torrentnet-x-abcdef",
    "boot:1:2",
    "/home",
    "loopback",
    "127.64.0.0/24",
    "/checkout",
    "/usr/bin/python3",
    "/bin",
    "/files",
    "/usr/bin",
    (SupervisedNode("tracker", "127.64.0.2", ("tracker.py", "127.64.0.2:6771"), "/data", None),),
)


def test_the_labs_file_round_trips() -> None:
    assert SupervisedLab.loads(LAB.dumps()) == LAB


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"nodes": [{}]}', LAB.dumps()[:-30]])
def test_a_malformed_labs_file_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # any message will do
        SupervisedLab.loads(text)


def test_packets_are_json_objects() -> None:
    assert decode(encode({"do": "kill", "node": "ä"})) == {"do": "kill", "node": "ä"}
    with pytest.raises(ValueError, match="not a JSON object"):
        decode(b"[]")
