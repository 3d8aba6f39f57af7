"""The phases of the lanes, as people see them who see few colours, or none."""

from __future__ import annotations

import base64
import math
from itertools import combinations
from typing import TYPE_CHECKING

from tests.browser import documents
from tests.browser.visit import SCHEMES
from torrentnet.lab.report.page import report_page

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.browser.visit import Visit

DEFICIENCIES = ("protanopia", "deuteranopia", "tritanopia", "achromatopsia")
PIXELS = """
async ([address, places]) => {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height), draw = canvas.getContext('2d');
    draw.drawImage(image, 0, 0);
    return places.map(([x, y]) => {
        const {data} = draw.getImageData(x, y, 12, 8);
        return Array.from({length: data.length / 4}, (_, at) => [...data.slice(4 * at, 4 * at + 3)]);
    });
}
"""
VISIBLE = 12
"""Steps of 256 by which two luminances differ at least."""


def test_phases_differ_by_more_than_hue(visit: Visit, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(report_page(documents.swarm()), "utf-8")
    page = visit.open(path)
    page.set_viewport_size({"width": 1280, "height": 4000})
    page.locator(".tn-legend li").first.wait_for()
    browser = page.context.new_cdp_session(page)
    reader = page.context.new_page()
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        for deficiency in DEFICIENCIES:
            browser.send("Emulation.setEmulatedVisionDeficiency", {"type": deficiency})
            seen = legend(page, reader)
            assert {"waiting", "downloading", "serving", "paused", "gone", "cut", "impaired"} <= set(seen)
            if deficiency == "achromatopsia":  # which shows that the browser does what it is told
                assert all(max(pixel) - min(pixel) <= 1 for pixels in seen.values() for pixel in pixels)
            for one, other in combinations(seen, 2):
                pairs = zip(map(luminance, seen[one]), map(luminance, seen[other]), strict=True)
                differing = sum(abs(a - b) >= VISIBLE for a, b in pairs)
                assert differing >= len(seen[one]) // 10, f"{deficiency}, {scheme}: {one} looks like {other}"


def legend(page: Page, reader: Page) -> dict[str, list[list[int]]]:
    """Return the same number of pixels of each phase's pattern, by phase."""
    items = page.locator(".tn-legend li").all()
    boxes = [box for item in items if (box := item.locator(".tn-key").bounding_box()) is not None]
    left, top = math.floor(min(box["x"] for box in boxes)), math.floor(min(box["y"] for box in boxes))
    right, bottom = max(box["x"] for box in boxes) + 20, max(box["y"] for box in boxes) + 12
    picture = page.screenshot(clip={"x": left, "y": top, "width": right - left, "height": bottom - top})
    # Without the edges that share a pixel with the page.
    places = [[math.ceil(box["x"]) + 1 - left, math.ceil(box["y"]) + 1 - top] for box in boxes]
    address = "data:image/png;base64," + base64.b64encode(picture).decode()
    pixels = reader.evaluate(PIXELS, [address, places])
    return dict(zip((item.inner_text() for item in items), pixels, strict=True))


def luminance(pixel: list[int]) -> float:
    """Return how bright a pixel is, from 0 to 255."""
    red, green, blue = pixel
    return 0.299 * red + 0.587 * green + 0.114 * blue
