"""A live page from its address to its end: hub, server and browser."""

from __future__ import annotations

import contextlib
import threading
import webbrowser
from typing import TYPE_CHECKING, Any, Final, Self

from torrentnet.lab.run.interrupts import Interrupted
from torrentnet.lab.ui.hub import Hub
from torrentnet.lab.ui.page import make_page
from torrentnet.lab.ui.routes import LiveRoutes
from torrentnet.lab.ui.server import LiveServer, PageSocket

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from torrentnet.lab.ui.hub import LiveDocument
    from torrentnet.lab.ui.page_options import PageOptions
    from torrentnet.lab.ui.verb_request import LiveLab

BROWSER: Final = "browser"


class LiveSession:
    """A page, for a ``with`` block.

    Its address is taken at once, before there is a lab.
    """

    def __init__(self, options: PageOptions, print_line: Callable[[str], None]) -> None:
        """Take the address. Raises UsageError where that is impossible."""
        self._options = options
        self._print_line = print_line
        self._place = PageSocket(options.host, options.port)
        self._steps = contextlib.ExitStack()
        self._steps.callback(self._place.close)
        self._hub: Hub | None = None
        self._lab: LiveLab | None = None
        self.address = ""
        """Of the page, with the key that allows most; empty until it is served."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._steps.close()

    @property
    def watches_only(self) -> str:
        """Why nobody may change anything through this page; empty where that is allowed."""
        if self._options.read_only:
            return "this page was opened with `--read-only`"
        if self._place.everywhere and not self._options.allow_control:
            return "other machines reach this page, and it was opened without `--allow-control`"
        return ""

    @property
    def read_only(self) -> str:
        """Why no verb works now; empty where they do."""
        return self.watches_only or (self._lab.read_only if self._lab is not None else "")

    def show(self, title: str, document: LiveDocument, lab: LiveLab) -> Hub:
        """Serve the page, and say where it is."""
        hub = self._hub = Hub(document)
        self._lab = lab
        self._steps.callback(hub.close)
        rules = self._place.rules(controls=not self.watches_only)
        watch = self._place.address(rules.watch_key)
        routes = LiveRoutes(hub, lab, make_page(title), rules, watch)
        self._steps.callback(routes.close)
        server = LiveServer(routes.app, self._place)
        server.start()
        self._steps.callback(server.close)
        address = self.address = self._place.address(rules.control_key) if rules.control_key else watch
        self._print_line(f"live page: {address}")
        if rules.control_key:
            self._print_line(f"to watch only, for a class: {watch}")
        else:
            self._print_line(f"it is read-only: {self.watches_only}")
        if self._options.open_browser:
            # A browser may take seconds to start, or stay in the foreground.
            threading.Thread(target=_open, args=(address,), name=BROWSER, daemon=True).start()
        return hub

    def change(self, run: dict[str, Any], **parts: Any) -> None:
        """Change the run that the page shows."""
        if self._hub is not None:
            self._hub.change(run, **parts)

    def wait(self, what: str) -> None:
        """Serve the page until Ctrl-C; ``what`` says what that leaves behind."""
        self._print_line(f"the page stays until Ctrl-C; {what}")
        with contextlib.suppress(Interrupted):
            threading.Event().wait()
        # At once: what is left to do to the lab may take longer.
        self._steps.close()


def _open(address: str) -> None:
    with contextlib.suppress(webbrowser.Error, OSError):
        webbrowser.open(address)
