"""Pages that open anywhere, whatever a submission printed."""

from __future__ import annotations

import html.parser
import json
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.tools.grade.examples import CHOICE, KEY, STARTS, rubric
from torrentnet.lab.tools.grade.evidence import MAX_DATAGRAMS, read_evidence
from torrentnet.lab.tools.grade.marks import CriterionMark, State
from torrentnet.lab.tools.grade.pages import matrix_page, submission_page
from torrentnet.lab.tools.grade.results import SubmissionResult

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'\x1b[2J"
RUBRIC = rubric(STARTS, CHOICE)


class Tags(html.parser.HTMLParser):
    """Collects the elements, and whatever would load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [name for name, _ in attrs]


@pytest.fixture
def record(tmp_path: Path) -> Path:
    folder = tmp_path / "first-1" / "runs" / "first" / "T"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "leecher.log").write_text(f"{HOSTILE}\n")
    seen = {"direction": "out", "from": "leecher:6881", "to": "10.0.0.9:1", "bytes": "12"}
    events: list[object] = [
        {"event": "pair", "node": "seed", "fields": {"peer": "leecher", "sent": "5", "received": "0"}},
        {"event": "pair", "node": "seed", "fields": {"peer": "leecher", "sent": "700", "received": "0"}},
        {"event": "sighted", "node": "leecher", "t": 1.5, "fields": seen},
        *({"event": "sighted", "node": "leecher", "fields": {**seen, "to": HOSTILE}} for _ in range(500)),
        {"event": "pair", "node": "seed", "fields": {}},
        {"event": "pair", "node": "seed"},
        [],
    ]
    (folder / "events.jsonl").write_text("\n".join(map(json.dumps, events)) + "\n{\n")
    return folder


def test_evidence_has_bytes_between_nodes_datagrams_and_output(record: Path) -> None:
    evidence = read_evidence(1, "about", "again", record)
    assert [(pair.sender, pair.receiver, pair.sent) for pair in evidence.pairs] == [("seed", "leecher", 700)]
    assert evidence.datagrams[0] == "1.5 s  leecher:6881 -> 10.0.0.9:1  12 bytes"
    assert len(evidence.datagrams) == MAX_DATAGRAMS
    assert [output.node for output in evidence.logs] == ["leecher"]


def test_a_record_that_is_gone_shows_nothing(tmp_path: Path) -> None:
    evidence = read_evidence(1, "about", "again", tmp_path / "nowhere")
    assert (evidence.logs, evidence.pairs, evidence.datagrams) == ((), (), ())


def test_pages_hold_nothing_but_what_we_wrote(record: Path) -> None:
    mark = CriterionMark("1", State.NONE, 0, HOSTILE, record=str(record))
    result = SubmissionResult("ada", KEY, (mark, CriterionMark("3", State.FULL, 6)), HOSTILE)
    (record / "report.html").touch()
    matrix = matrix_page(RUBRIC, [result], {"ada": "ada/index.html"}, "today", details=True)
    page = submission_page(RUBRIC, result, "/s/ada", details=True)
    for text in (matrix, page):
        tags = Tags(text)
        assert not {"script", "img", "iframe", "link"} & set(tags.names)
        assert not [name for name in tags.attributes if name.startswith("on") or name == "src"]
        assert "default-src 'none'" in text
        assert "\x1b" not in text
    assert 'href="ada/index.html#c1"' in matrix
    assert "torrentnet run" in page
    assert f"<code>{record}/report.html</code>" in page


def test_with_the_final_seed_a_page_has_no_evidence(record: Path) -> None:
    mark = CriterionMark("1", State.NONE, 0, "measured", record=str(record))
    result = SubmissionResult("ada", KEY, (mark, CriterionMark("3", State.FULL, 6)))
    page = submission_page(RUBRIC, result, "/s/ada", details=False)
    assert "measured" not in page
    assert "torrentnet run" not in page
    assert "measured" not in matrix_page(RUBRIC, [result], {"ada": "a"}, "today", details=False)
