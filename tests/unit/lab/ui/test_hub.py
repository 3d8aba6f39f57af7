"""Tests of the hub.

Every prefix of a stream equals its snapshot, and nothing grows without end.
"""

from __future__ import annotations

import json
import threading
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tests.unit.lab.ui.stand_in import PATIENCE, PlainDocument
from torrentnet.lab.ui import hub as hub_module
from torrentnet.lab.ui.hub import Hub, pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from torrentnet.lab.ui.hub import StreamMessage


def wait_for(hub: Hub, number: int) -> Sequence[StreamMessage]:
    """Return the messages up to a number, once they are there."""
    news = threading.Event()
    end = hub.listen(news.set)
    try:
        while True:
            found = hub.messages(0)
            assert found is not None
            if found and found[-1].number >= number:
                return found
            assert news.wait(PATIENCE)
            news.clear()
    finally:
        end()


def delta(message: StreamMessage) -> dict[str, Any]:
    """Return a message's content."""
    text = message.plain.decode()
    assert text.startswith("data: ")
    assert text.endswith("\n\n")
    found: dict[str, Any] = json.loads(text[6:])
    assert found["seq"] == message.number
    changes: dict[str, Any] = found["delta"]
    return changes


def test_snapshot_plus_messages_is_the_next_snapshot() -> None:
    hub = Hub(PlainDocument())
    snapshots = [json.loads(hub.document())]
    for number in range(3):
        hub.add_row(json.dumps({"row": number}))
        wait_for(hub, number + 1)
        snapshots.append(json.loads(hub.document()))
    messages = wait_for(hub, 3)
    for (before, after), message in zip(pairwise(snapshots), messages, strict=True):
        assert after["rows"] == before["rows"] + delta(message)["rows"]
        assert after["seq"] == before["seq"] + 1
    hub.close()


def test_nothing_is_lost_at_the_end() -> None:
    hub = Hub(PlainDocument())
    for number in range(5000):
        hub.add_row(json.dumps(number))
    hub.close()
    assert json.loads(hub.document())["rows"] == list(range(5000))


def test_rows_of_many_threads_arrive_all() -> None:
    hub = Hub(PlainDocument())

    def add(first: int) -> None:
        for number in range(500):
            hub.add_row(json.dumps(first + number))

    threads = [threading.Thread(target=add, args=(1000 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hub.close()
    assert len(set(json.loads(hub.document())["rows"])) == 2000


def test_a_row_that_is_no_json_is_left_out() -> None:
    hub = Hub(PlainDocument())
    hub.add_row("{")
    hub.add_row('{"a": 1}')
    hub.close()
    assert json.loads(hub.document())["rows"] == [{"a": 1}]


def test_parts_of_others_are_in_message_and_snapshot() -> None:
    hub = Hub(PlainDocument())
    hub.change({"verdict": "passed"}, expectations=[1, 2])
    (message,) = wait_for(hub, 1)
    assert delta(message) == {"run": {"verdict": "passed"}, "expectations": [1, 2]}
    found = json.loads(hub.document())
    assert found["run"] == {"scenario": "trial", "verdict": "passed"}
    assert found["expectations"] == [1, 2]
    hub.close()


def test_old_messages_are_dropped_and_late_viewers_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MAX_KEPT_BYTES", 100)
    hub = Hub(PlainDocument())
    news = threading.Event()
    hub.listen(news.set)
    for number in range(3):
        news.clear()
        hub.add_row(json.dumps("x" * 90 + str(number)))
        assert news.wait(PATIENCE)
    assert hub.messages(0) is None
    kept = hub.messages(2)
    assert kept is not None
    assert [message.number for message in kept] == [3]
    assert hub.messages(3) == ()
    assert hub.messages(99) is None
    hub.close()


def test_a_flood_is_cut_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MAX_WAITING", 10)
    document = PlainDocument()
    hub = Hub(document)
    with hub._building:  # the hub's thread is busy
        for number in range(30):
            hub.add_row(json.dumps(number))
    hub.close()
    found = json.loads(hub.document())
    assert len(found["rows"]) + found["run"]["missing"] == 30
    assert found["run"]["missing"] >= 19


def test_another_document_makes_all_viewers_fetch_it() -> None:
    hub = Hub(PlainDocument())
    hub.add_row("1")
    wait_for(hub, 1)
    other = PlainDocument()
    other.add({"new": True})
    hub.replace(other)
    assert hub.messages(1) is None
    found = json.loads(hub.document())
    assert found["rows"] == [{"new": True}]
    assert hub.messages(found["seq"]) == ()
    hub.close()


def test_packed_messages_form_one_stream() -> None:
    texts = [b"data: 1\n\n", b"data: 22\n\n" * 50, b"data: 1\n\n"]
    reader = zlib.decompressobj(-zlib.MAX_WBITS)
    for text in texts:
        assert reader.decompress(pack(text)) == text
