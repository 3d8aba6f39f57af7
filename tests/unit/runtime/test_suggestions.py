from __future__ import annotations

from torrentnet.runtime.suggestions import closest, did_you_mean

VERBS = ("kill", "pause", "restart")


def test_the_closest_word_is_suggested() -> None:
    assert closest("paus", VERBS) == "pause"
    assert did_you_mean("restrat", iter(VERBS)) == "did you mean `restart`?"


def test_without_a_close_word_all_are_listed() -> None:
    assert closest("heal", VERBS) is None
    assert closest("heal", ()) is None
    assert did_you_mean("heal", VERBS) == "allowed here: `kill`, `pause`, `restart`"
    assert did_you_mean("heal", VERBS, "there are") == "there are: `kill`, `pause`, `restart`"
