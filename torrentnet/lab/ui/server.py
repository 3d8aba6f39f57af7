"""The live page's server, on a thread of its own."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import threading
from typing import TYPE_CHECKING, Final

import uvicorn

from torrentnet.lab.errors import LabError, UsageError
from torrentnet.lab.ui.access import LOOPBACK_NAMES, AccessRules
from torrentnet.lab.ui.connection import BoundedConnection
from torrentnet.lab.ui.page_options import DEFAULT_HOST, DEFAULT_PORT
from torrentnet.runtime.signals import block_signals

if TYPE_CHECKING:
    from starlette.types import ASGIApp

START_TIMEOUT: Final = 30.0
CLOSE_TIMEOUT: Final = 5.0
BACKLOG: Final = 128
BIND_HINTS: Final = {
    errno.EADDRINUSE: "perhaps another lab's page is open there; `--port 0` takes a free port",
    errno.EACCES: "ports below 1024 are root's; `--port 0` takes a free port",
}


class PageSocket:
    """The address at which the page will be served, taken before there is a lab."""

    def __init__(self, host: str = DEFAULT_HOST, port: int = DEFAULT_PORT) -> None:
        """Bind the address. Raises UsageError where that is impossible."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (OSError, OverflowError, UnicodeError) as error:
            raise UsageError(
                f"`--host {host}` is no address of this machine: {getattr(error, 'strerror', None) or error}",
                hint="leave it out for 127.0.0.1, which only this machine reaches",
            ) from None
        family, kind, protocol, _, address = found[0]
        self.socket = socket.socket(family, kind, protocol)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(address)
            # Taken now: nobody else can have it, and early viewers wait.
            self.socket.listen(BACKLOG)
        except OSError as error:
            self.socket.close()
            raise UsageError(
                f"the page cannot be served at {_shown(host)}:{port}: {error.strerror}",
                hint=BIND_HINTS.get(error.errno or 0, "leave `--host` out for 127.0.0.1"),
            ) from None
        self.host: str = self.socket.getsockname()[0]
        self.port: int = self.socket.getsockname()[1]
        self._given = host

    @property
    def everywhere(self) -> bool:
        """Whether other machines may reach it."""
        return not (self.host.startswith("127.") or self.host == "::1")

    def rules(self, *, controls: bool) -> AccessRules:
        """Return the rules of access to what is served here."""
        names = dict.fromkeys((*LOOPBACK_NAMES, _shown(self.host), self._given.lower(), socket.gethostname().lower()))
        rules = AccessRules(self.port, tuple(names), any_address=self.host in {"0.0.0.0", "::"})
        return rules if controls else AccessRules(self.port, rules.names, rules.any_address, control_key="")

    def address(self, key: str) -> str:
        """Return the address that a browser opens."""
        host = self.host
        if host in {"0.0.0.0", "::"}:
            host = socket.gethostname()
        return f"http://{_shown(host)}:{self.port}/#token={key}"

    def close(self) -> None:
        """Give the address back."""
        self.socket.close()


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class LiveServer:
    """The server of one page. It ends with the process, whatever happens."""

    def __init__(self, app: ASGIApp, place: PageSocket) -> None:
        # What others send to the port is their mistake, and none of the person's at this terminal.
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
        config = uvicorn.Config(
            app,
            http=BoundedConnection,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            h11_max_incomplete_event_size=16 * 1024,
        )
        self._server = uvicorn.Server(config)
        self._place = place
        self._thread = threading.Thread(target=self._run, name="live page's server", daemon=True)
        self._up = threading.Event()

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()
        if not self._up.wait(START_TIMEOUT):
            raise LabError("the live page's server does not start")

    def close(self) -> None:
        """End at once; viewers are cut off."""
        self._server.should_exit = self._server.force_exit = True
        if self._thread.is_alive():
            self._thread.join(CLOSE_TIMEOUT)
        self._place.close()

    def _run(self) -> None:
        block_signals()
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        serving = asyncio.ensure_future(self._server.serve(sockets=[self._place.socket]))
        while not self._server.started and not serving.done():
            await asyncio.sleep(0.005)
        self._up.set()
        await serving
