"""The expiry of open requests, compared with a scan of all requesters.

handlers/test_lookup.py tests the rest.
"""

from __future__ import annotations

import math
import random

from torrentnet.tracker.swarms.open_requests import OpenRequest, OpenRequests


def test_expiry_agrees_with_a_scan_of_all_requesters() -> None:
    chance = random.Random(5)
    requests = OpenRequests(timeout=10.0)
    opened: list[OpenRequest] = []
    now = 0.0
    for step in range(5_000):
        now += chance.random()
        action = chance.random()
        if action < 0.4 or not opened:
            opened.append(requests.open("10.0.0.1", 6881, step.to_bytes(20, "big"), "peer", "file", None, 0, now))
        elif action < 0.6:
            requests.close(opened.pop(chance.randrange(len(opened))))
        else:
            heard = chance.choice(opened)
            assert requests.mark_seen(heard.ip, heard.peer_id, now)
        late = [request for request in opened if request.requester.last_seen + 10.0 <= now]
        assert requests.next_deadline <= now or not late
        found = list(requests.expire(now))
        assert sorted(request.number for request in found) == sorted(request.number for request in late)
        opened = [request for request in opened if request not in found]
        assert len(requests) == len(opened)
        assert len(requests._expiry_queue) <= 3 * len(opened) + 200


def test_nothing_expires_without_requests() -> None:
    requests = OpenRequests(timeout=10.0)
    assert requests.next_deadline == math.inf
    assert list(requests.expire(1e9)) == []
