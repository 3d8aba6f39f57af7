"""Who may ask the live page's server for what.

Web pages of others run in the same browser, and may send requests to 127.0.0.1. So every request must name this
server as its host (which a page under another name cannot, even where the name's address is ours), must come from no
other page, and must carry a key that only the printed address has. The key is in the address's fragment, which
browsers send to nobody, and comes in a header that no page may set for another one. There is no cookie, and no header
that allows other pages anything.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEY_BYTES: Final = 16
MAX_BODY: Final = 64 * 1024
BODY_TIMEOUT: Final = 10.0
"""Seconds for the body of a request."""
LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
CONTROLS: Final = "torrentnet.controls"
"""Key in a request's scope: whether its sender may change the lab."""
HEADERS: Final = {
    "cache-control": "no-store",
    "connection": "close",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"


def new_key() -> str:
    """Return 128 random bits, in hexadecimal."""
    return secrets.token_hex(KEY_BYTES)


@dataclass(frozen=True, slots=True)
class AccessRules:
    """By which names the server is reached, and the keys."""

    port: int
    names: tuple[str, ...] = LOOPBACK_NAMES
    any_address: bool = False
    """Whether every IP address is a name of this server: it listens on all of them. No page has an address of ours
    for a name, as long as it is not ours."""
    control_key: str = field(default_factory=new_key)
    """Empty where nobody may change the lab."""
    watch_key: str = field(default_factory=new_key)

    def knows_host(self, host: str) -> bool:
        """Return whether the header ``Host`` names this server."""
        name, _, port = host.lower().rpartition(":")
        if not name or name.endswith(":"):
            name, port = host.lower(), "80"
        if port != str(self.port):
            return False
        return name in self.names or (self.any_address and _is_address(name))

    def controls(self, key: str) -> bool | None:
        """Return whether a key allows verbs; None where it is no key of ours."""
        given = key.encode("utf-8", "replace")
        controls = secrets.compare_digest(given, self.control_key.encode()) and bool(self.control_key)
        watches = secrets.compare_digest(given, self.watch_key.encode())
        return True if controls else False if watches else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class AccessRefusal:
    """Why a request is not answered."""

    status: int
    text: str


WRONG_HOST: Final = AccessRefusal(421, "this server has another name; open the address that torrentnet has printed")
WRONG_ORIGIN: Final = AccessRefusal(403, "another page has sent this request")
NO_KEY: Final = AccessRefusal(
    401, "the key is missing or wrong; open the whole address that torrentnet has printed, with the part after `#`"
)
READ_ONLY: Final = AccessRefusal(403, "this address is for watching only")
NOT_JSON: Final = AccessRefusal(415, "a verb is JSON; send it with `Content-Type: application/json`")
TOO_LARGE: Final = AccessRefusal(413, f"the request is larger than {MAX_BODY // 1024} kB")
TOO_SLOW: Final = AccessRefusal(408, f"the request did not arrive within {BODY_TIMEOUT:g} s")


class AccessGuard:
    """Passes on only the requests that the rules allow, each with its whole body."""

    def __init__(self, app: ASGIApp, rules: AccessRules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = _headers(scope)
        refusal = self._refuse(scope, headers)
        body = b""
        if refusal is None and scope["method"] == "POST":
            refusal, body = await _read_body(headers, receive)
        if refusal is not None:
            await _answer(send, refusal)
            return
        delivered = False

        async def deliver() -> Message:
            nonlocal delivered
            if delivered:
                return await receive()
            delivered = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name.lower() for name, _ in message["headers"]}
                message = {**message, "headers": [*message["headers"], *_own_headers(names)]}
            await send(message)

        await self._app(scope, deliver, send_with_headers)

    def _refuse(self, scope: Scope, headers: Mapping[str, list[str]]) -> AccessRefusal | None:
        hosts = headers.get("host", [])
        if len(hosts) != 1 or not self._rules.knows_host(hosts[0]):
            return WRONG_HOST
        if any(origin.lower() != f"http://{hosts[0].lower()}" for origin in headers.get("origin", [])):
            return WRONG_ORIGIN
        api = scope["path"].startswith("/api/")
        # A link on another page may open this one; it may not ask it for anything.
        sites = {"same-origin", "none"} if api else {"same-origin", "none", "cross-site", "same-site"}
        if any(site not in sites for site in headers.get("sec-fetch-site", [])):
            return WRONG_ORIGIN
        if not api:
            return None
        given = headers.get("authorization", [])
        scheme, _, key = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        controls = self._rules.controls(key.strip()) if scheme.lower() == "bearer" else None
        if controls is None:
            return NO_KEY
        scope[CONTROLS] = controls
        if scope["method"] not in {"GET", "HEAD"} and not controls:
            return READ_ONLY
        return None


def _headers(scope: Scope) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


async def _read_body(headers: Mapping[str, list[str]], receive: Receive) -> tuple[AccessRefusal | None, bytes]:
    types = headers.get("content-type", [])
    if len(types) != 1 or types[0].partition(";")[0].strip().lower() != "application/json":
        return NOT_JSON, b""
    lengths = headers.get("content-length", [])
    if any(not length.isdigit() or int(length) > MAX_BODY for length in lengths):
        return TOO_LARGE, b""
    body = b""
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > MAX_BODY:
                    return TOO_LARGE, b""
                if not message.get("more_body"):
                    return None, body
    except TimeoutError:
        return TOO_SLOW, b""


async def _answer(send: Send, refusal: AccessRefusal) -> None:
    text = json.dumps({"ok": False, "text": refusal.text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode())]
    headers += _own_headers(set())
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": text})


def _own_headers(there: set[bytes]) -> list[tuple[bytes, bytes]]:
    own = {**HEADERS, "content-security-policy": API_POLICY}
    return [(name.encode(), value.encode()) for name, value in own.items() if name.encode() not in there]
