"""Tests of a page from its address to its end.

It is the page of a lab of this process, or of a record.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.lab.stub import SCENARIO, StubEngine
from tests.unit.lab.ui.stand_in import PATIENCE, PlainDocument, PlainLab
from torrentnet.lab.api import Lab
from torrentnet.lab.scenario.load import load_plan
from torrentnet.lab.ui.own_lab import EARLY, OwnLab
from torrentnet.lab.ui.page_options import PageOptions
from torrentnet.lab.ui.record_view import ELSEWHERE, ENDED, RecordView
from torrentnet.lab.ui.session import LiveSession

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KILL = {"verb": "kill", "nodes": ["seeder-1"]}


class Visitor:
    """A program that asks a page's server with the key of the printed address."""

    def __init__(self, **options: Any) -> None:
        self.lines: list[str] = []
        self.session = LiveSession(PageOptions(port=0, **options), self.lines.append)

    def ask(self, path: str, body: object = None) -> tuple[int, Any]:
        """Return the status and the answer."""
        base, _, key = self.lines[0].removeprefix("live page: ").replace("0.0.0.0", "127.0.0.1").partition("/#token=")
        base = f"http://127.0.0.1:{base.rpartition(':')[2]}"
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        request = urllib.request.Request(base + path, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text[:1] in b"{[" else text.decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def wait_for(self, path: str, wanted: str) -> Any:
        """Ask until the answer holds a text; return it."""
        tries = threading.Event()
        for _ in range(600):
            _, answer = self.ask(path)
            if wanted in json.dumps(answer):
                return answer
            tries.wait(0.05)
        raise AssertionError(f"{path} never has {wanted}: {answer}")


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    found = Visitor()
    with found.session:
        yield found


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("TORRENTNET_HOME", str(tmp_path))
    path = tmp_path / "trial.yaml"
    path.write_text(SCENARIO + "expect:\n  - {node: seeder-1, state: exited, within: 20s}\n", encoding="utf-8")
    return Lab(load_plan(path), StubEngine(), home=tmp_path)


def test_page_follows_a_lab_from_before_its_nodes_to_its_verdict(lab: Lab, visitor: Visitor) -> None:
    watched = OwnLab(lab, visitor.session)
    assert visitor.ask("/api/document")[1]["run"]["verdict"] == "running"
    assert visitor.ask("/api/verbs", KILL) == (200, {"ok": False, "text": EARLY, "command": "", "yaml": ""})
    with lab:
        found = visitor.wait_for("/api/document", '"published"')
        assert [node["name"] for node in found["nodes"]] == ["tracker", "seeder-1", "seeder-2", "leecher"]
        assert all(node["address"] for node in found["nodes"])
        status, answer = visitor.ask("/api/verbs", KILL)
        assert (status, answer["text"]) == (200, "seeder-1 killed")
        assert visitor.wait_for("/api/document", '"kill"')["run"]["touched"] is True
        outcome = lab.play()
    watched.show_verdict(gone=True)
    found = visitor.wait_for("/api/document", '"verdict": "passed"')
    assert found["run"]["live"] is False
    assert found["expectations"][0]["passed"] is True
    assert outcome.touched[0].startswith("kill seeder-1 at ")
    result = json.loads((lab.directory / "result.json").read_text())
    assert result["touched"] == list(outcome.touched)
    assert result["notes"][0].startswith("somebody touched this run by hand: kill seeder-1 at ")
    assert visitor.ask("/api/verbs", KILL)[0] == 403
    assert ", kill: seeder-1}" in visitor.ask("/api/scenario")[1]


def test_untouched_run_says_nothing_of_hands(lab: Lab, visitor: Visitor) -> None:
    OwnLab(lab, visitor.session)
    with lab:
        lab.kill("seeder-1")
        outcome = lab.play()
    assert outcome.touched == ()
    assert outcome.notes == ()


def test_ended_run_is_shown_and_not_changed(lab: Lab, visitor: Visitor) -> None:
    with lab:
        lab.kill("seeder-1")
        lab.play()
    view = RecordView(lab.directory, visitor.session)
    status, found = visitor.ask("/api/document")
    assert status == 200
    assert found["run"]["verdict"] == "passed"
    assert visitor.ask("/api/session")[1]["readOnly"] is True
    assert visitor.session.read_only == ENDED
    assert visitor.session.address in visitor.lines[0]
    assert visitor.ask("/api/verbs", KILL) == (403, {"ok": False, "text": ENDED})
    assert visitor.ask("/api/scenario")[0] == 409
    view.close()


def test_run_of_another_command_is_followed_to_its_end(lab: Lab, visitor: Visitor) -> None:
    with lab:
        view = RecordView(lab.directory, visitor.session)
        assert visitor.ask("/api/verbs", KILL) == (403, {"ok": False, "text": ELSEWHERE})
        visitor.wait_for("/api/document", '"published"')
        lab.kill("seeder-1")
        lab.play()
    found = visitor.wait_for("/api/document", '"verdict": "passed"')
    assert found["run"]["live"] is False
    assert view.read_only == ENDED
    view.close()


def test_other_machines_watch_unless_they_are_allowed_more() -> None:
    for options, controls in (({}, False), ({"allow_control": True}, True), ({"read_only": True}, False)):
        visitor = Visitor(host="0.0.0.0", **options)
        with visitor.session:
            visitor.session.show("trial", PlainDocument(), PlainLab())
            assert visitor.ask("/api/session")[1]["readOnly"] is not controls
            assert (visitor.ask("/api/verbs", KILL)[0] == 200) is controls
            assert ("read-only" in visitor.lines[1]) is not controls
