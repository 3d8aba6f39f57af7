"""Take the pictures of docs/pictures from real pages, in light and in dark.

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
COLOURS: Final = 128
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")


@dataclass(frozen=True, slots=True)
class Picture:
    """What is taken, and what it is called."""

    name: str
    url: str
    part: str = ""
    """CSS selector of the element that is taken; empty for the page from its top."""
    width: int = WIDTH
    height: int = HEIGHT
    """At most so high; a page that is shorter has a shorter picture."""


def take(browser: Browser, picture: Picture, folder: Path) -> Iterator[Path]:
    """Take a picture in each colour scheme; yield its file."""
    for scheme in SCHEMES:
        context = browser.new_context(
            viewport={"width": picture.width, "height": picture.height},
            color_scheme=scheme,
            reduced_motion="reduce",
            offline=True,
        )
        page = context.new_page()
        page.goto(picture.url)
        path = folder / f"{picture.name}-{scheme}.png"
        _shoot(page, picture, path)
        context.close()
        with Image.open(path) as image:
            image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
        yield path


def _shoot(page: Page, picture: Picture, path: Path) -> None:
    if picture.part:
        page.locator(picture.part).first.screenshot(path=path)
        return
    height = page.evaluate("() => Math.ceil(document.body.getBoundingClientRect().bottom)")
    clip = {"x": 0, "y": 0, "width": picture.width, "height": min(picture.height, height)}
    page.screenshot(path=path, clip=clip)  # type: ignore[arg-type]


def _picture(text: str, options: argparse.Namespace) -> Picture:
    name, found, address = text.partition("=")
    file, _, fragment = address.partition("#")
    path = Path(file).resolve()
    if not found or not name or not path.is_file():
        raise argparse.ArgumentTypeError(f"{text}: write NAME=FILE.html, with a file that exists")
    url = path.as_uri() + (f"#{fragment}" if fragment else "")
    return Picture(name, url, options.part, options.width, options.height)


def main(arguments: Sequence[str]) -> int:
    """Take the pictures that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.pictures", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("pictures", nargs="+", metavar="NAME=FILE.html[#FRAGMENT]")
    parser.add_argument("--part", default="", help="CSS selector of what is taken (default: the page from its top)")
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--height", type=int, default=HEIGHT, help="at most so high")
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    try:
        pictures = [_picture(text, options) for text in options.pictures]
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    from playwright.sync_api import sync_playwright

    options.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        try:
            browser = launch(playwright)
        except NoBrowserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        for picture in pictures:
            for path in take(browser, picture, options.out):
                print(f"{path} ({path.stat().st_size / 1000:.0f} kB)")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
