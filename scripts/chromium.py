"""The machine's own Chromium, driven by Playwright.

It runs the tests of the HTML pages, and draws the pictures of docs/.

No browser is ever downloaded. Tested by tests/unit/test_browser_script.py.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

SCRIPT: Final = Path(__file__).with_name("browser.sh")
FIND_TIMEOUT: Final = 60
FEW_PROCESSES: Final = ("--no-zygote", "--in-process-gpu", "--renderer-process-limit=1")
"""Three processes and one for the page, where there would be seven. With one for all, a second context crashes."""


class NoBrowserError(Exception):
    """There is no Chromium on this machine; the text says what to do."""


def find_chromium() -> Path:
    """Return the path of this machine's Chromium.

    Raises NoBrowserError.
    """
    try:
        done = subprocess.run(
            [SCRIPT, "--find"],
            capture_output=True,
            text=True,
            check=False,
            timeout=FIND_TIMEOUT,
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        raise NoBrowserError(f"{SCRIPT.name} cannot be run: {error.strerror}") from error
    if done.returncode:
        lines = done.stderr.removeprefix("browser: error: ").splitlines()
        raise NoBrowserError("; ".join(line.strip() for line in lines))
    return Path(done.stdout.rstrip("\n"))


def launch(playwright: Playwright) -> Browser:
    """Start Chromium without a window.

    Raises NoBrowserError.
    """
    return playwright.chromium.launch(executable_path=find_chromium(), args=FEW_PROCESSES, chromium_sandbox=False)
