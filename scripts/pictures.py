"""Take the pictures of docs/pictures from real pages, in light and in dark.

``torrentnet run docs/pictures/islands.yaml`` makes the run of most of them; then
``python -m scripts.pictures --run runs/islands/latest/report.html`` takes them. Others are named one by one:
``python -m scripts.pictures matrix=marks/index.html`` writes matrix-light.png and matrix-dark.png. A fragment behind
the file is the page's own: ``heat=report.html#heat=source``. It needs Pillow (``make .venv/.bench``), which makes the
files a third as large.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from PIL import Image

from scripts.chromium import NoBrowserError, launch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Browser, Page

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "pictures"
WIDTH, HEIGHT = 1280, 800
ALL_OF_IT: Final = 4000
"""A window so high that all of a page is drawn."""
COLOURS: Final = 200
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")


@dataclass(frozen=True, slots=True)
class Picture:
    """What is taken, and what it is called."""

    name: str
    view: str = ""
    """The page's fragment: moment, selection and so on."""
    part: str = "body"
    """CSS selector of the element that is taken, with what stands below it as far as ``height`` goes."""
    width: int = WIDTH
    height: int = 0
    """Of the picture, at most; 0 for the element alone."""


ISLANDS: Final = (
    Picture("front", "t=5500&heat=source", "#viewer", height=1000),
    Picture("phone", "t=5500", "#viewer", width=390, height=844),
    Picture("verdict", "", "#verdict"),
    Picture("lanes", "t=5500&node=leecher-5", ".tn-lanes"),
    Picture("swarm", "t=5500&node=leecher-5", ".tn-swarm"),
    Picture("pieces", "t=12000&node=leecher-5&piece=17&heat=source", ".tn-heat"),
    Picture("throughput", "t=5500&node=leecher-1&node=leecher-5", ".tn-rates"),
    Picture("exchange", "t=14000", ".tn-matrix"),
    Picture("family", "t=14000&piece=17", ".tn-family"),
    Picture("lines", "t=5500&logs=forgotten", ".tn-logs"),
    Picture("why", "t=9000&why=gap&of=leecher-5&at=9000", ".tn-why"),
)
"""The pictures of docs/what_you_see.md and the README, of one run of docs/pictures/islands.yaml."""


def take(browser: Browser, picture: Picture, page_file: Path, folder: Path) -> Iterator[Path]:
    """Take a picture in each colour scheme; yield its file."""
    for scheme in SCHEMES:
        context = browser.new_context(
            viewport={"width": picture.width, "height": ALL_OF_IT},
            color_scheme=scheme,
            reduced_motion="reduce",
            offline=True,
        )
        page = context.new_page()
        page.goto(page_file.as_uri() + (f"#{picture.view}" if picture.view else ""))
        path = folder / f"{picture.name}-{scheme}.png"
        _shoot(page, picture, path)
        context.close()
        shrink(path)
        yield path


def shrink(path: Path) -> None:
    """Reduce a picture's colours, which makes its file a third as large."""
    with Image.open(path) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def _shoot(page: Page, picture: Picture, path: Path) -> None:
    part = page.locator(picture.part).first
    part.wait_for()
    # The last frame may not be drawn yet.
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    box = part.bounding_box()
    assert box is not None
    if picture.height:
        box["height"] = min(picture.height, box["height"])
    page.screenshot(path=path, clip=box)


def _named(text: str, options: argparse.Namespace) -> tuple[Picture, Path]:
    name, _, address = text.partition("=")
    file, _, view = address.partition("#")
    if not name or not Path(file).is_file():
        raise argparse.ArgumentTypeError(f"{text}: write NAME=FILE.html, with a file that exists")
    return Picture(name, view, options.part, options.width, options.height), Path(file).resolve()


def main(arguments: Sequence[str]) -> int:
    """Take the pictures that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.pictures", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("pictures", nargs="*", metavar="NAME=FILE.html[#FRAGMENT]")
    parser.add_argument(
        "--run", type=Path, metavar="FILE.html", help="the report of a run of docs/pictures/islands.yaml"
    )
    parser.add_argument("--part", default="body", help="CSS selector of what is taken (default: body)")
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--height", type=int, default=HEIGHT, help="at most so high")
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    try:
        pictures = [_named(text, options) for text in options.pictures]
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    if options.run:
        pictures += [(picture, options.run.resolve()) for picture in ISLANDS]
    from playwright.sync_api import sync_playwright

    options.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        try:
            browser = launch(playwright)
        except NoBrowserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        for picture, page_file in pictures:
            for path in take(browser, picture, page_file, options.out):
                print(f"{path} ({path.stat().st_size / 1000:.0f} kB)")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
