"""A browser without a network, for the tests of the HTML pages.

Where there is no Chromium, these tests are skipped by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.chromium import NoBrowserError, launch
from tests.browser.visit import Visit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

TIMEOUT_MS = 60_000
"""Ends what hangs: no measure of a page's speed."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Yield the machine's Chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip("needs a browser: the package playwright is not installed")
    with sync_playwright() as playwright:
        try:
            found = launch(playwright)
        except NoBrowserError as error:
            pytest.skip(f"needs a browser: {error}")
        yield found
        found.close()


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Yield a page without a network.

    The parameter ``False`` is a browser without JavaScript. Afterwards the page must have asked for nothing and
    complained about nothing.
    """
    script = getattr(request, "param", True)
    context = browser.new_context(offline=True, java_script_enabled=script, reduced_motion="no-preference")
    context.set_default_timeout(TIMEOUT_MS)
    visit = Visit(context.new_page())
    yield visit
    context.close()
    assert not visit.asked
    assert not visit.complaints
