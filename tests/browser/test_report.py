"""report.html in a browser, from a file and without a network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.browser import documents
from tests.browser.visit import WIDTHS, Visit, axe_source
from torrentnet.lab.report.page import report_page

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from torrentnet.lab.report.record_values import Document

RUNS = {
    "ordinary": documents.swarm,
    "failed": documents.failed,
    "hostile": documents.hostile,
    "interrupted": documents.interrupted,
    "killed": documents.killed,
    "empty": documents.empty,
    "counted": documents.counted,
    "crowd": documents.crowd,
    "joined": documents.joined,
}
DRAWN = "() => document.querySelectorAll('#viewer canvas').length > 0"
INKED = """
() => [...document.querySelectorAll('#viewer canvas')].map(canvas => {
    const box = canvas.getBoundingClientRect();
    if (!box.width || box.bottom < 0 || box.top > innerHeight) return null;
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(data.buffer)).size;
}).every(count => count === null || count > 1)
"""


@pytest.fixture
def report(visit: Visit, tmp_path: Path) -> Callable[..., Page]:
    """Open the report of a document, and wait until it is drawn."""

    def opened(document: Document, fragment: str = "", against: Document | None = None) -> Page:
        path = tmp_path / "report.html"
        path.write_text(report_page(document, against), "utf-8")
        page = visit.open(path, fragment)
        page.wait_for_function(DRAWN)
        return page

    return opened


def in_text(page: Page, selector: str = "#verdict") -> str:
    return " ".join(page.locator(selector).inner_text().split())


@pytest.mark.parametrize("name", RUNS)
def test_a_report_is_drawn_whatever_the_run_was(name: str, report: Callable[..., Page], visit: Visit) -> None:
    page = report(RUNS[name]())
    assert page.title().startswith(("made_up: ", "{{ 7", "<", "]", "a-", "\\", "\u202e", "\u2066"))
    assert not page.locator("#viewer .tn-error").count()
    page.wait_for_function(INKED)
    for width in WIDTHS:
        visit.resize(width)
        assert not visit.sideways(), width
    # No text has become an element or a program.
    assert page.title() != "taken"
    assert not page.locator("img").count()
    assert page.locator("script").count() == 2


def test_a_report_is_readable_in_every_look(report: Callable[..., Page], visit: Visit) -> None:
    axe_source()
    page = report(documents.failed())
    for look in visit.looks():
        assert not visit.axe_violations(), look
    page.emulate_media(forced_colors="active")
    assert not visit.axe_violations()


def test_a_report_of_hostile_texts_is_readable(report: Callable[..., Page], visit: Visit) -> None:
    axe_source()
    report(documents.hostile())
    assert not visit.axe_violations()


@pytest.mark.parametrize("visit", [False], indirect=True)
def test_without_javascript_the_verdict_is_there(visit: Visit, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(report_page(documents.failed()), "utf-8")
    page = visit.open(path)
    text = in_text(page)
    for part in (
        "Failed: 1 of 2 expectations hold",
        "leecher-1 has myfile.txt within 15s",
        "18 of 24 pieces",
        "to inspect: torrentnet attach tracker",
        "torrentnet run made_up --engine local",
        "seed 41",
        "partition cable-cut, until 12.00 s (62 packets stopped)",
    ):
        assert part in text
    assert "need JavaScript" in in_text(page, "#viewer")
    assert not visit.sideways()


def test_on_paper_the_verdict_is_there(report: Callable[..., Page]) -> None:
    page = report(documents.failed())
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("#verdict h1").is_visible()
    assert "18 of 24 pieces" in in_text(page)
    assert not page.locator(".tn-sticky").is_visible()
    assert page.pdf().startswith(b"%PDF")


def clock(page: Page) -> float:
    """Return the playhead's time in seconds."""
    return float(page.locator(".tn-clock").inner_text().removesuffix(" s"))


def fragment(page: Page, part: str) -> None:
    """Wait until the page's address holds a part of the view."""
    page.wait_for_function("part => location.hash.slice(1).split('&').includes(part)", arg=part)


def press(page: Page, keys: str) -> None:
    for key in keys.split():
        page.keyboard.press(key)


def test_the_replay_is_driven_by_keys_alone(report: Callable[..., Page]) -> None:
    page = report(documents.swarm())
    press(page, "Home")
    page.wait_for_function("() => document.querySelector('.tn-clock').textContent.startsWith('0.')")
    press(page, "Shift+ArrowRight Shift+ArrowRight")
    fragment(page, "t=2000")
    assert clock(page) == 2
    # The next event is the kill.
    press(page, "ArrowRight")
    fragment(page, f"t={documents.KILLED}")
    press(page, "z + d")
    fragment(page, "theme=light")
    fragment(page, "speed=2")
    assert "range=" in page.url
    press(page, "0 ?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    press(page, "Escape")
    assert not page.get_by_role("dialog", name="Keys").is_visible()
    press(page, "Space")
    page.wait_for_function("() => parseFloat(document.querySelector('.tn-clock').textContent) > 3.2")
    press(page, "Space")
    page.get_by_role("button", name="Play", exact=True).wait_for()
    page.wait_for_function("() => !location.hash.includes('t=3000')")


def test_a_node_is_chosen_and_asked_about_by_keys_alone(report: Callable[..., Page]) -> None:
    page = report(documents.swarm(), f"#t={documents.CUT + 2000}")
    focus(page, ".tn-lanes canvas")
    press(page, "ArrowDown ArrowDown ArrowDown Enter")
    fragment(page, "node=leecher-1")
    assert "leecher-1" in in_text(page, ".tn-lanes .tn-readout")
    press(page, "w")
    fragment(page, "why=gap")
    assert "partition cable-cut" in in_text(page, ".tn-why")
    press(page, "Escape")
    page.wait_for_function("() => !location.hash.includes('why')")


def focus(page: Page, selector: str) -> None:
    """Move the focus to an element, by the keyboard alone."""
    while not page.locator(selector).evaluate("element => element === document.activeElement"):
        page.keyboard.press("Tab")


def test_a_piece_says_by_keys_alone_from_whom_and_why(report: Callable[..., Page]) -> None:
    page = report(documents.swarm())
    focus(page, ".tn-heat canvas")
    # The tracker has no row.
    press(page, "ArrowDown ArrowDown Shift+ArrowRight" + documents.PIECE % 10 * " ArrowRight")
    said = page.locator(".tn-quiet[role=status]").inner_text()
    assert re.fullmatch(r"leecher-1: piece 17 arrived at \d+\.\d+ s from spare", said)
    press(page, "Enter")
    fragment(page, "why=piece")
    why = page.get_by_role("complementary")
    assert "Why? Piece 17 at leecher-1" in why.inner_text()
    assert "leecher-1 had piece 17 from spare" in why.inner_text()
    press(page, "Escape")
    why.wait_for(state="hidden")


def test_log_lines_are_filtered_by_keys_alone(report: Callable[..., Page]) -> None:
    page = report(documents.swarm())
    press(page, "l")
    page.keyboard.type("forgotten")
    page.wait_for_function("() => document.querySelectorAll('.tn-logs .tn-line:not([hidden])').length === 1")
    assert "forgotten peer=seeder" in page.locator(".tn-logs").inner_text()
    fragment(page, "logs=forgotten")


def test_all_that_can_be_clicked_is_reached_by_tab(report: Callable[..., Page]) -> None:
    page = report(documents.swarm())
    wanted = page.locator(
        "button:visible, input:visible, select:visible, summary:visible, canvas[tabindex='0']"
    ).count()
    seen: set[str] = set()
    for _ in range(3 * wanted):
        page.keyboard.press("Tab")
        place = page.evaluate(
            """() => {
                const one = document.activeElement;
                if (!one || one === document.body) return '';
                const number = [...document.querySelectorAll('*')].indexOf(one);
                return [number, one.type === 'radio' ? one.name : ''].join(' ');
            }"""
        )
        if place in seen:
            break
        if place:
            seen.add(place)
    groups = {place.partition(" ")[2] for place in seen}
    radios = page.locator("input[type=radio]:visible")
    names = {radio.get_attribute("name") for radio in radios.all()}
    assert names <= groups
    assert len(seen) >= wanted - radios.count() + len(names)


def test_an_address_holds_what_is_seen(report: Callable[..., Page]) -> None:
    page = report(documents.swarm(), "#t=6500&speed=4&range=5000to9000&node=leecher-1&theme=dark&predict=1")
    assert clock(page) == 6.5
    assert page.get_by_label("Speed of the replay").input_value() == "4"
    assert page.get_by_label("Colours").input_value() == "dark"
    assert page.get_by_label("predict").is_checked()
    assert page.evaluate("() => document.documentElement.dataset.theme") == "dark"
    slider = page.get_by_label("Time after t = 0")
    assert (slider.get_attribute("min"), slider.get_attribute("max")) == ("5000", "9000")


@pytest.mark.parametrize(
    "bad", ["#t=NaN&speed=7&range=9to1&node=&theme=pink&why=gap", "#%E0%A4%A&=&&t", "#t=1e999&piece=-5"]
)
def test_an_address_that_says_nonsense_opens_the_page(bad: str, report: Callable[..., Page]) -> None:
    page = report(documents.swarm(), bad)
    assert re.fullmatch(r"\d+\.\d+ s", page.locator(".tn-clock").inner_text())
    assert not page.locator(".tn-error").count()


def test_reduced_motion_moves_nothing_by_itself(visit: Visit, report: Callable[..., Page]) -> None:
    visit.page.emulate_media(reduced_motion="reduce")
    page = report(documents.swarm(), "#t=7000")
    assert page.evaluate("() => document.getAnimations().length") == 0
    before = clock(page)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert clock(page) == before


def test_two_runs_are_shown_on_one_clock(visit: Visit, report: Callable[..., Page]) -> None:
    page = report(documents.swarm(), against=documents.failed())
    assert "Compared with" in in_text(page)
    assert "Failed: 1 of 2 expectations hold" in in_text(page)
    for look in visit.looks():
        assert not visit.sideways(), look


def test_data_that_is_damaged_is_said_in_one_line(visit: Visit, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    page = report_page(documents.swarm())
    path.write_text(re.sub(r'"gz":"[^"]{40}', '"gz":"AAAA', page), "utf-8")
    shown = visit.open(path)
    error = shown.get_by_role("alert")
    error.wait_for()
    assert error.inner_text().startswith("This run cannot be drawn: ")
    assert "Passed" in in_text(shown)
