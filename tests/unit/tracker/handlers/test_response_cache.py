"""The bounds of the response cache."""

from __future__ import annotations

from torrentnet.tracker.handlers.response_cache import RequestKey, ResponseCache, request_key


def test_cache_is_limited_by_number_bytes_and_age() -> None:
    source = ("10.0.0.1", 1)
    cache: ResponseCache[RequestKey, bytes] = ResponseCache(max_answers=6, max_bytes=2_000, lifetime=120)
    keys = [request_key(bytes(8) + bytes([number]), source) for number in range(10)]
    for count, key in enumerate(keys, start=1):
        cache.store(key, b"a", 1, 0.0)
        assert len(cache) <= 6
        # At least the last three are kept.
        assert [cache.find(one, 1.0) for one in keys[max(0, count - 3) : count]] == [b"a"] * min(3, count)
    assert cache.find(keys[0], 1.0) is None
    assert cache.find(keys[9], 119.0) == b"a"
    assert cache.find(keys[9], 120.0) is None
    for count, key in enumerate(keys[:4]):
        cache.store(key, bytes(900), 900, 130.0)
        assert len(cache) <= 2 or count == 0
        assert cache.find(key, 131.0) == bytes(900)
    cache.store(keys[4], b"b", 1, 251.0)
    cache.store(keys[5], b"b", 1, 372.0)
    assert len(cache) <= 2, "old answers are dropped"
