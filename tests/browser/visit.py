"""A page in a browser without a network, and what it asked for."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import ConsoleMessage, Page, Request

WIDTHS: Final = (1280, 390)
HEIGHT: Final = 800
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
_SIDEWAYS: Final = """
() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    return [...document.querySelectorAll('body *')]
        .filter(element => element.getBoundingClientRect().right > width + 1)
        .map(element => `${element.tagName.toLowerCase()}.${element.className} ends at `
            + `${Math.round(element.getBoundingClientRect().right)} of ${width}`)
        .slice(0, 10);
}
"""
_DRAWN: Final = """
() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done))))
"""
_AXE: Final = "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"


class Visit:
    """A page that a test opens.

    The fixture ``visit`` fails the test if the page complained or asked for anything.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[str] = []
        """Addresses of all requests but the page's own."""
        self.complaints: list[str] = []
        """Errors and warnings in the console, and exceptions that nobody caught."""
        self._own = ""
        page.on("request", self._note_request)
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))

    def _note_request(self, request: Request) -> None:
        if request.url.partition("#")[0] != self._own:
            self.asked.append(request.url)

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def open(self, path: Path, fragment: str = "") -> Page:
        """Open a file; return its page."""
        self.expect_page(path)
        self.page.goto(path.as_uri() + fragment)
        return self.page

    def expect_page(self, path: Path) -> None:
        """Let the page lead to a file."""
        self._own = path.as_uri()

    def looks(self) -> Iterator[str]:
        """Show the page at each width, light and dark; yield the name of the look."""
        for width in WIDTHS:
            self.resize(width)
            for scheme in SCHEMES:
                self.page.emulate_media(color_scheme=scheme)
                yield f"{width} px, {scheme}"

    def resize(self, width: int) -> None:
        """Make the window so wide, and wait until the page has been drawn anew."""
        self.page.set_viewport_size({"width": width, "height": HEIGHT})
        self.page.evaluate(_DRAWN)

    def sideways(self) -> list[str]:
        """Return what makes the page wider than the window."""
        found: list[str] = self.page.evaluate(_SIDEWAYS)
        return found

    def axe_violations(self) -> list[str]:
        """Return what axe-core finds, one line an element."""
        if not self.page.evaluate("() => 'axe' in window"):
            # The page forbids scripts that it does not know; what the browser itself evaluates is no such script.
            self.page.evaluate(axe_source())
        found: list[dict[str, Any]] = self.page.evaluate(_AXE)
        return [
            f"{rule['id']}: {rule['help']}: {node['target']} {node['failureSummary'].splitlines()[-1].strip()}"
            for rule in found
            for node in rule["nodes"]
        ]


def axe_source() -> str:
    """Return axe-core's program; skip the test where it is not installed."""
    pytest.importorskip("axe_playwright_python", reason="needs axe-core (of the package axe-playwright-python)")
    return (resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
