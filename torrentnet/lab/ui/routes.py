"""What the live page's server answers.

Tested by tests/unit/lab/ui/test_server.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from torrentnet.lab.errors import LabError
from torrentnet.lab.ui.access import CONTROLS, AccessGuard, AccessRules
from torrentnet.lab.ui.hub import RESET, Hub, pack
from torrentnet.lab.ui.verb_request import VerbAnswer, parse_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from torrentnet.lab.ui.page import LivePage
    from torrentnet.lab.ui.verb_request import LiveLab

MAX_VIEWERS: Final = 64
MAX_VERBS: Final = 16
"""Verbs that are carried out, or wait for that."""
VERB_THREADS: Final = 4
SILENCE: Final = 15.0
"""Seconds after which an empty line says that the stream lives."""
KEEP_ALIVE: Final = b": nothing new\n\n"
GZIP_HEAD: Final = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
LAST_BLOCK: Final = b"\x03\0"


class LiveRoutes:
    """The answers of one server."""

    def __init__(self, hub: Hub, lab: LiveLab, page: LivePage, rules: AccessRules, watch_address: str) -> None:
        self._hub = hub
        self._lab = lab
        self._page = page
        self._watch_address = watch_address
        self.viewers = self._verbs = 0
        """Pages that follow the lab now, and verbs in progress."""
        self._threads = ThreadPoolExecutor(VERB_THREADS, "verb")
        routes = [
            Route("/", self._get_page),
            Route("/api/session", self._session),
            Route("/api/document", self._document),
            Route("/api/stream", self._stream),
            Route("/api/scenario", self._scenario),
            Route("/api/verbs", self._act, methods=["POST"]),
        ]
        app = Starlette(routes=routes, exception_handlers={HTTPException: _explain})
        self.app: ASGIApp = AccessGuard(app, rules)

    def close(self) -> None:
        """Begin no more verbs; those in progress go on."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _get_page(self, _: Request) -> Response:
        return HTMLResponse(self._page.html, headers={"content-security-policy": self._page.policy})

    async def _session(self, request: Request) -> Response:
        controls = bool(request.scope[CONTROLS])
        link = self._watch_address if controls else None
        return JSONResponse({"readOnly": not (controls and self._lab.read_only == ""), "link": link})

    async def _document(self, request: Request) -> Response:
        text = await asyncio.to_thread(self._hub.document)
        headers = {"vary": "accept-encoding"}
        if _accepts_gzip(request):
            text = await asyncio.to_thread(_gzip, text)
            headers["content-encoding"] = "gzip"
        return Response(text, media_type="application/json", headers=headers)

    async def _stream(self, request: Request) -> Response:
        after = request.query_params.get("after", "")
        if not (after.isascii() and after.isdigit() and len(after) < 16):
            raise HTTPException(400, "`after` is the number of the last message, or the document's `seq`")
        if self.viewers >= MAX_VIEWERS:
            raise HTTPException(503, f"{MAX_VIEWERS} pages are open already; close one of them")
        packed = _accepts_gzip(request)
        headers = {"content-encoding": "gzip"} if packed else {}
        return StreamingResponse(
            self._follow(int(after), packed=packed), media_type="text/event-stream", headers=headers
        )

    async def _follow(self, after: int, *, packed: bool) -> AsyncIterator[bytes]:
        """Yield the messages after a number, and wait for the next ones."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the server has ended meanwhile
                loop.call_soon_threadsafe(news.set)

        self.viewers += 1
        end = self._hub.listen(wake)
        try:
            if packed:
                yield GZIP_HEAD
            while True:
                news.clear()
                messages = self._hub.messages(after)
                if messages is None:
                    yield pack(RESET) if packed else RESET
                    return
                for message in messages:
                    yield message.packed if packed else message.plain
                    after = message.number
                try:
                    async with asyncio.timeout(SILENCE):
                        await news.wait()
                except TimeoutError:
                    yield pack(KEEP_ALIVE) if packed else KEEP_ALIVE
        finally:
            end()
            self.viewers -= 1

    async def _scenario(self, _: Request) -> Response:
        try:
            text = await asyncio.to_thread(self._lab.scenario)
        except LabError as error:
            raise HTTPException(409, _with_hint(error)) from None
        return PlainTextResponse(text, media_type="application/yaml")

    async def _act(self, request: Request) -> Response:
        if self._lab.read_only:
            raise HTTPException(403, self._lab.read_only)
        try:
            wanted = parse_request(await request.body())
        except LabError as error:
            raise HTTPException(400, _with_hint(error)) from None
        if self._verbs >= MAX_VERBS:
            raise HTTPException(429, f"{MAX_VERBS} verbs are in progress; wait for one of them")
        self._verbs += 1
        try:
            # A viewer that goes away does not stop what it has begun.
            work = asyncio.get_running_loop().run_in_executor(self._threads, self._lab.act, wanted)
            answer = await asyncio.shield(work)
        except LabError as error:
            answer = VerbAnswer(ok=False, text=_with_hint(error))
        finally:
            self._verbs -= 1
        return JSONResponse(answer.row())


async def _explain(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"ok": False, "text": error.detail}, error.status_code, headers=error.headers)


def _with_hint(error: LabError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message


def _accepts_gzip(request: Request) -> bool:
    codings = [one.partition(";")[0].strip() for one in request.headers.get("accept-encoding", "").split(",")]
    return "gzip" in codings


def _gzip(plain: bytes) -> bytes:
    tail = zlib.crc32(plain).to_bytes(4, "little") + (len(plain) & 0xFFFFFFFF).to_bytes(4, "little")
    return GZIP_HEAD + pack(plain) + LAST_BLOCK + tail
