"""The pages of `torrentnet grade` in a browser."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.tools.grade.examples import CHOICE, KEY, SHARED, STARTS, TOLD, rubric
from torrentnet.lab.tools.grade.marks import CriterionMark, State
from torrentnet.lab.tools.grade.pages import matrix_page, submission_page
from torrentnet.lab.tools.grade.results import SubmissionResult

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.visit import Visit

HOSTILE = "</pre></style></title><script>document.title = 'taken'</script><img src=x onerror=alert(1)>\u202egpj.exe"
LONG = "a-line-without-a-space" * 60
EVENT = '{"event": "pair", "node": "seed", "fields": {"peer": "leecher", "sent": "700", "received": "0"}}\n'


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """The pages of a class of three.

    One has everything right, one is hostile and has everything wrong, and one did not start.
    """
    record = tmp_path / "first-1" / "runs" / "first" / "T"
    (record / "logs").mkdir(parents=True)
    (record / "logs" / "leecher.log").write_text(f"{HOSTILE}\n{LONG}\n")
    (record / "events.jsonl").write_text(EVENT)
    criteria = [
        dataclasses.replace(
            one, did="the seed was killed", expected=f"the leecher goes on {LONG[:80]}", hint="look at it"
        )
        for one in (STARTS, SHARED, CHOICE, TOLD)
    ]
    lost = [State.NONE, State.PART, State.NOT_TRIED, State.NOT_JUDGED]
    full = tuple(CriterionMark(one.key, State.FULL, one.points) for one in criteria)
    wrong = tuple(
        CriterionMark(one.key, state, 0, HOSTILE + LONG, record=str(record), unsteady=state is State.PART)
        for one, state in zip(criteria, lost, strict=True)
    )
    none = tuple(CriterionMark(one.key, State.NOT_TRIED, 0) for one in criteria)
    marked = rubric(*criteria)
    results = [
        SubmissionResult("ada", KEY, full),
        SubmissionResult(HOSTILE, KEY, wrong),
        SubmissionResult("eve", KEY, none, f"no main program\n{LONG}"),
    ]
    names = [f"{number}.html" for number in range(3)]
    for name, result in zip(names, results, strict=True):
        text = submission_page(marked, result, f"/s/{result.name}", details=True)
        (tmp_path / name).write_text(text, "utf-8")
    links = dict(zip([result.name for result in results], names, strict=True))
    (tmp_path / "index.html").write_text(matrix_page(marked, results, links, "today", details=True), "utf-8")
    return tmp_path


@pytest.mark.parametrize("name", ["index.html", "1.html", "2.html"])
def test_a_grade_page_is_readable_in_every_look(visit: Visit, pages: Path, name: str) -> None:
    page = visit.open(pages / name)
    # What is folded away is read, too.
    page.evaluate("() => document.querySelectorAll('details').forEach(one => { one.open = true; })")
    for look in visit.looks():
        assert not visit.sideways(), look
        assert not visit.axe_violations(), look
    page.emulate_media(forced_colors="active")
    assert not visit.axe_violations()
    assert page.title() != "taken"


def test_a_matrix_leads_to_the_place_of_a_mark_by_keyboard(visit: Visit, pages: Path) -> None:
    page = visit.open(pages / "index.html")
    cell = page.get_by_role("link", name="✗").first
    while not cell.evaluate("element => element === document.activeElement"):
        page.keyboard.press("Tab")
    visit.expect_page(pages / "1.html")
    page.keyboard.press("Enter")
    page.wait_for_url("**/1.html#c1")
    assert page.locator("#c1").is_visible()
    assert "starts: 0 of 4" in page.locator("#c1").inner_text()


def test_a_printed_grade_page_has_marks_and_no_evidence(visit: Visit, pages: Path) -> None:
    page = visit.open(pages / "1.html")
    page.emulate_media(media="print")
    assert all(section.is_visible() for section in page.locator("section").all())
    assert not any(one.is_visible() for one in page.locator("details").all())
