"""Take pictures of the live page while its lab is clicked.

``python -m scripts.live_pictures`` brings docs/pictures/by_hand.yaml up on the engine ``local``, draws a partition
through the map, heals it and kills a seeder, and takes the page after each click, in light and in dark: live-1 to
live-4 in the folder that ``--out`` names. ``--front`` also writes the page during the partition to docs/pictures, where
the README and docs/what_you_see.md show it. It needs Pillow, as scripts/pictures.py does.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scripts.chromium import NoBrowserError, launch
from scripts.pictures import FOLDER, SCHEMES, WIDTH, shrink

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Page

SCENARIO: Final = FOLDER / "by_hand.yaml"
FRONT: Final = "live"
HEIGHT, FRONT_HEIGHT = 1500, 1480
ANSWER_MS: Final = 30_000
START_MS: Final = 60_000
END_S: Final = 60.0
CUT_AT, CUT_SECONDS, HEAL_SECONDS = 5.0, 5.0, 3.0
"""When the partition is drawn, and how long the pictures wait after it and after its end, in seconds of the lab."""


@contextlib.contextmanager
def live_lab(folder: Path) -> Iterator[str]:
    """Bring the lab up; yields its page's address, and removes the lab afterwards."""
    lab = [sys.executable, "-m", "torrentnet.lab", "run", str(SCENARIO), "--engine", "local", "--runs", str(folder)]
    with subprocess.Popen([*lab, "--ui", "--no-open", "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = (re.search(r"live page: (\S+)", line) for line in process.stdout)
            address = next((one[1] for one in found if one), "")
            if not address:
                raise SystemExit(f"the lab did not come up: {' '.join(lab)}")
            yield address
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=END_S)


def wait_clock(page: Page, seconds: float) -> None:
    """Wait until the page shows that time of the lab."""
    page.wait_for_function(
        "at => parseFloat(document.querySelector('.tn-clock').textContent) >= at", arg=seconds, timeout=START_MS
    )


def clock(page: Page) -> float:
    """Return the time of the lab that the page shows, in seconds."""
    return float(page.locator(".tn-clock").inner_text().split()[0])


def wait_answer(page: Page, number: int) -> None:
    """Wait for the answer to a click, counted from 1."""
    page.wait_for_function(
        "n => document.querySelectorAll('.tn-answers li').length >= n", arg=number, timeout=ANSWER_MS
    )


def draw_partition(page: Page) -> None:
    """Draw a line from the top to the bottom through the map, beside its middle."""
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Draw a partition").click()
    box = page.locator(".tn-stage").bounding_box()
    assert box is not None
    x, top, bottom = box["x"] + box["width"] / 2 + 20, box["y"] + 4, box["y"] + box["height"] - 4
    page.mouse.move(x, top)
    page.mouse.down()
    page.mouse.move(x, (top + bottom) / 2, steps=4)
    page.mouse.move(x, bottom, steps=4)
    page.mouse.up()


def click_through(page: Page, out: Path) -> Iterator[str]:
    """Click; yield the name of each picture that is to be taken now."""
    page.locator(".tn-controls").wait_for(timeout=START_MS)
    wait_clock(page, CUT_AT)
    yield "live-1"
    draw_partition(page)
    wait_answer(page, 1)
    wait_clock(page, clock(page) + CUT_SECONDS)
    yield "live-2"
    page.locator(".tn-controls").get_by_role("button", name=re.compile("^Heal")).first.click()
    wait_answer(page, 2)
    wait_clock(page, clock(page) + HEAL_SECONDS)
    yield "live-3"
    page.get_by_role("button", name="seeder-2").first.click()
    page.get_by_role("button", name="kill", exact=True).click()
    wait_answer(page, 3)
    yield "live-4"
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as scenario").click()
    download.value.save_as(out / "saved.yaml")


def take(page: Page, path: Path, height: int) -> None:
    """Take the page's upper part."""
    page.screenshot(path=path, clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
    shrink(path)
    print(f"{path} ({path.stat().st_size / 1000:.0f} kB)", flush=True)


def main(arguments: Sequence[str]) -> int:
    """Take the pictures; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.live_pictures", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the pictures and of the saved scenario")
    parser.add_argument("--front", action="store_true", help="write the partition's picture to docs/pictures, too")
    options = parser.parse_args(arguments)
    from playwright.sync_api import sync_playwright

    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as runs, sync_playwright() as playwright:
        try:
            browser = launch(playwright)
        except NoBrowserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, reduced_motion="reduce")
        page = context.new_page()
        with live_lab(Path(runs)) as address:
            page.goto(address)
            for name in click_through(page, options.out):
                for scheme in SCHEMES:
                    page.emulate_media(color_scheme=scheme)
                    take(page, options.out / f"{name}-{scheme}.png", HEIGHT)
                    if options.front and name == "live-2":
                        take(page, FOLDER / f"{FRONT}-{scheme}.png", FRONT_HEIGHT)
            page.close()
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
