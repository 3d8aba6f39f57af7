"""What a foreign tracker's datagrams say, whatever its messages are."""

from __future__ import annotations

from torrentnet.lab.run.facts.tracker_answers import WINDOW, most_listed, tracker_answers
from torrentnet.runtime.events import Event


def out(time: float, to: str, *nodes: str) -> Event:
    fields = {"from": "tracker:6771", "to": f"{to}:6881", "nodes": ",".join(nodes), "direction": "out"}
    return Event("sighted", time, fields, "tracker")


def ask(time: float, who: str, file: str = "true") -> Event:
    fields = {"from": f"{who}:6881", "to": "tracker:6771", "nodes": "", "direction": "out", "file": file}
    return Event("sighted", time, fields, who)


def test_an_answer_lists_the_other_nodes_in_it() -> None:
    (answer,) = tracker_answers("tracker", [out(2.0, "leecher", "one", "leecher", "tracker")])
    assert (answer.time, answer.asker, answer.listed) == (2.0, "leecher", frozenset({"one"}))


def test_an_answer_without_addresses_counts_only_after_a_question() -> None:
    assert tracker_answers("tracker", [ask(1.0, "leecher", "false"), out(1.1, "leecher")]) == []
    (answer,) = tracker_answers("tracker", [ask(1.0, "leecher"), out(1.1, "leecher"), out(1.2, "leecher")])
    assert (answer.listed, answer.asked) == (frozenset(), True)
    again = [ask(1.0, "leecher"), out(1.1, "leecher"), ask(2.0, "leecher"), out(2.1, "leecher")]
    assert [answer.time for answer in tracker_answers("tracker", again)] == [1.1]
    # It came too late to be the answer, or went to somebody else.
    assert tracker_answers("tracker", [ask(1.0, "leecher"), out(9.0, "leecher")]) == []
    assert tracker_answers("tracker", [ask(1.0, "leecher"), out(1.1, "other")]) == []


def test_answers_before_a_moment_do_not_count() -> None:
    assert tracker_answers("tracker", [out(1.0, "a", "one")], since=2.0) == []


def test_the_newest_answers_tell_how_many_peers_are_known() -> None:
    events = [out(1.0, "a", "one", "two", "three"), out(1.0 + WINDOW, "a", "one", "two"), out(2.0 + WINDOW, "a", "one")]
    assert most_listed(tracker_answers("tracker", events)) == {"one", "two"}
