from __future__ import annotations

import os

from torrentnet.lab.engines.local.supervisor.event_loop import READ, EventLoop


def test_calls_are_made_when_they_are_due() -> None:
    loop = EventLoop()
    calls: list[str] = []
    loop.call_later(0.02, lambda: calls.append("second"))
    loop.call_later(0.02, loop.end)
    loop.call_later(0.0, lambda: calls.append("first"))
    loop.run()
    assert calls == ["first", "second"]


def test_a_watched_descriptor_is_reported_until_it_is_forgotten() -> None:
    loop = EventLoop()
    reading, writing = os.pipe()
    events: list[int] = []

    def ready(event: int) -> None:
        events.append(event)
        if len(events) == 2:
            loop.forget(reading)
            loop.call_later(0.02, loop.end)

    loop.watch(reading, lambda _: None)
    loop.watch(reading, ready)  # replaces the first callback
    os.write(writing, b"unread")
    loop.run()
    assert events == [READ, READ]
    for descriptor in (reading, writing):
        os.close(descriptor)
