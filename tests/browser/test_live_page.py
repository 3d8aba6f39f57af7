"""The live page in a browser: it follows a lab, and acts on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import documents
from tests.browser.visit import Visit, axe_source
from tests.unit.lab.ui.stand_in import LiveWorld, live_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from playwright.sync_api import Browser, Page

    from torrentnet.lab.report.record_values import Document

TIMEOUT_MS = 60_000
COLUMNS = ("t", "node", "piece", "source")


class RunSoFar:
    """The ordinary run, as far as a row has said that it has got."""

    def __init__(self) -> None:
        self._whole = documents.swarm()
        self._until, self._told = 1000, 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Let the run go on."""
        self._until = row["until"]

    def add_line(self, node: str, ms: int, text: str) -> None:
        """No line comes alone."""

    def document(self) -> Document:
        """Return the run from its beginning."""
        whole = {**self._whole, "held": self._whole["held"], **self._part(-1)}
        run = {**whole["run"], "verdict": "running", "exit_code": None, "live": True, "duration": self._until}
        return {**whole, "run": run, "seq": 0}

    def take_delta(self) -> Document:
        """Return what has happened since the last call."""
        if self._told == self._until:
            return {}
        # What time it is, no delta of a real lab says either.
        since, self._told = self._told, self._until
        return self._part(since)

    def _part(self, since: int) -> Document:
        part = {
            name: [row for row in self._whole[name] if since < row[0] <= self._until]
            for name in ("marks", "phases", "logs")
        }
        part["faults"] = [one for one in self._whole["faults"] if one["began"] <= self._until]
        part["faults"] = [
            {**one, "ended": one["ended"] if (one["ended"] or 0) <= self._until else None} for one in part["faults"]
        ]
        rows = zip(*(self._whole["arrivals"][name] for name in COLUMNS), strict=True)
        rows_now = [row for row in rows if since < row[0] <= self._until]
        arrivals = {name: [row[place] for row in rows_now] for place, name in enumerate(COLUMNS)}
        return {**part, "arrivals": arrivals}


@pytest.fixture
def world() -> Iterator[LiveWorld]:
    with live_world(document=RunSoFar()) as found:
        yield found


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Yield a page that may ask its own server."""
    context = browser.new_context(reduced_motion="reduce", accept_downloads=True)
    context.set_default_timeout(TIMEOUT_MS)
    visit = Visit(context.new_page())
    yield visit
    context.close()


@pytest.fixture
def live(visit: Visit, world: LiveWorld) -> Iterator[Callable[..., Page]]:
    """Open the page with a key.

    It must ask its own server alone, and complain of nothing.
    """

    def opened(key: str = "") -> Page:
        visit.page.goto(f"http://127.0.0.1:{world.port}/#token={key or world.rules.control_key}")
        visit.page.locator(".tn-lanes canvas").wait_for()
        return visit.page

    yield opened
    assert not [url for url in visit.asked if not url.startswith(f"http://127.0.0.1:{world.port}/")]
    assert not visit.complaints


def go_on(world: LiveWorld, until: int) -> None:
    """Let the lab go on to a time."""
    world.hub.add_row(json.dumps({"until": until}))


def time_is(page: Page, at_least: float, below: float = float("inf")) -> None:
    """Wait until the playhead is between two times.

    Between two messages, the page lets the time go on by itself.
    """
    page.wait_for_function(
        """([from, to]) => {
            const time = parseFloat(document.querySelector('.tn-clock').textContent.replace('\u2212', '-'));
            return time >= from && (to === null || time < to);
        }""",
        arg=[at_least, below if below < float("inf") else None],
    )


def test_the_page_follows_the_lab_and_waits_when_asked_to(live: Callable[..., Page], world: LiveWorld) -> None:
    page = live()
    assert "token" not in page.url
    go_on(world, 7000)
    time_is(page, 7)
    page.get_by_role("button", name="Heal: cable-cut").wait_for()
    # Looking back, while the lab goes on.
    page.keyboard.press("Home")
    time_is(page, -10, 0.5)
    go_on(world, 13_000)
    page.get_by_role("button", name="Heal: cable-cut").wait_for(state="detached")
    time_is(page, -10, 0.5)
    page.keyboard.press("n")
    time_is(page, 13)


def test_the_live_page_is_readable_in_every_look(live: Callable[..., Page], visit: Visit, world: LiveWorld) -> None:
    axe_source()
    page = live()
    go_on(world, 7000)
    time_is(page, 7)
    for look in visit.looks():
        assert not visit.sideways(), look
        assert not visit.axe_violations(), look


def test_a_verb_is_given_by_keys_alone_and_answered(live: Callable[..., Page], world: LiveWorld) -> None:
    page = live()
    kill = page.get_by_role("button", name="kill", exact=True)
    assert kill.is_disabled()
    page.get_by_role("button", name="leecher-1").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("() => !document.querySelector('.tn-controls button:disabled')")
    kill.focus()
    page.keyboard.press("Enter")
    answer = page.get_by_role("list", name="Answers, the newest first").get_by_role("listitem").first
    answer.wait_for()
    assert [part in answer.inner_text() for part in ("kill done", "make it", "- {}")] == [True] * 3
    assert [(one.verb, one.nodes) for one in world.lab.done] == [("kill", ("leecher-1",))]


def test_a_partition_is_drawn_through_the_map(live: Callable[..., Page], world: LiveWorld) -> None:
    page = live()
    page.get_by_role("button", name="Draw a partition").click()
    box = page.locator(".tn-stage").bounding_box()
    assert box
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle + 3, box["y"] + 4)
    page.mouse.down()
    page.mouse.move(middle + 5, box["y"] + box["height"] / 2, steps=3)
    page.mouse.move(middle + 7, box["y"] + box["height"] - 4, steps=3)
    page.mouse.up()
    page.get_by_role("list", name="Answers, the newest first").get_by_role("listitem").first.wait_for()
    (request,) = world.lab.done
    assert request.verb == "partition"
    assert sorted(node for side in request.sides for node in side) == [
        "leecher-1",
        "leecher-2",
        "leecher-3",
        "seeder",
        "spare",
        "tracker",
    ]
    assert all(request.sides)


def test_clicks_are_saved_as_a_scenario(live: Callable[..., Page]) -> None:
    page = live()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as scenario").click()
    assert download.value.suggested_filename == "made_up_by_hand.yaml"
    assert Path(download.value.path()).read_text("utf-8") == "nodes: {}\n"


def test_a_class_may_look_and_has_nothing_to_touch(live: Callable[..., Page], world: LiveWorld) -> None:
    page = live(world.rules.watch_key)
    assert "This link shows the lab and cannot change it." in page.locator(".tn-controls").inner_text()
    assert not page.get_by_role("button", name="kill", exact=True).count()
    assert world.rules.control_key not in page.content()


def test_a_wrong_key_is_said(visit: Visit, world: LiveWorld) -> None:
    visit.page.goto(f"http://127.0.0.1:{world.port}/#token=wrong")
    visit.page.get_by_text("The lab cannot be shown: ").wait_for()
