"""A document, a lab and a server without nodes."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import TYPE_CHECKING, Any

from torrentnet.lab.ui.hub import Hub
from torrentnet.lab.ui.page import make_page
from torrentnet.lab.ui.routes import LiveRoutes
from torrentnet.lab.ui.server import LiveServer, PageSocket
from torrentnet.lab.ui.verb_request import VerbAnswer, VerbRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torrentnet.lab.ui.access import AccessRules
    from torrentnet.lab.ui.hub import LiveDocument

PATIENCE = 30.0


class PlainDocument:
    """Keeps the rows as they are."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._new: list[Any] = []

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep a row."""
        self.rows.append(row)
        self._new.append(row)

    def add_line(self, node: str, ms: int, text: str) -> None:
        """Keep a line."""
        self.add({"line": [ms, node, text]})

    def document(self) -> dict[str, Any]:
        """Return the rows."""
        return {"run": {"scenario": "trial"}, "rows": list(self.rows)}

    def take_delta(self) -> dict[str, Any]:
        """Return the new rows."""
        new, self._new = self._new, []
        return {"rows": new} if new else {}


class PlainLab:
    """Notes the verbs that it is asked for."""

    read_only = ""

    def __init__(self) -> None:
        self.done: list[VerbRequest] = []
        self.begun, self.gate = threading.Event(), threading.Event()
        self.gate.set()

    def act(self, request: VerbRequest) -> VerbAnswer:
        """Note a verb."""
        self.begun.set()
        self.gate.wait(PATIENCE)
        self.done.append(request)
        return VerbAnswer(ok=True, text=f"{request.verb} done", command="make it", yaml="- {}")

    def scenario(self) -> str:
        """Return no scenario."""
        return "nodes: {}\n"


class LiveWorld:
    """A server with its hub, and what a client needs."""

    def __init__(self, *, controls: bool = True, document: LiveDocument | None = None) -> None:
        self.document = PlainDocument()
        self.hub = Hub(document or self.document)
        self.lab = PlainLab()
        place = PageSocket("127.0.0.1", 0)
        self.port = place.port
        self.rules: AccessRules = place.rules(controls=controls)
        self.routes = LiveRoutes(self.hub, self.lab, make_page("trial"), self.rules, place.address("watch"))
        self.server = LiveServer(self.routes.app, place)

    def connect(self) -> socket.socket:
        """Return a new connection."""
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def head(self, method: str, path: str, key: str | None = None, **headers: str) -> bytes:
        """Return the head of a request."""
        key = self.rules.control_key if key is None else key
        lines = {"Host": f"127.0.0.1:{self.port}", "Authorization": f"Bearer {key}"}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        return f"{method} {path} HTTP/1.1\r\n{text}\r\n".encode()

    def ask(
        self, method: str, path: str, body: bytes = b"", key: str | None = None, **headers: str
    ) -> tuple[int, bytes]:
        """Return a response's status and body."""
        if method == "POST":
            headers = {"Content_Type": "application/json", "Content_Length": str(len(body)), **headers}
        with self.connect() as connection:
            connection.sendall(self.head(method, path, key, **headers) + body)
            return split_response(read_all(connection))

    def post(self, body: bytes | Mapping[str, Any], key: str | None = None, **headers: str) -> tuple[int, Any]:
        """Ask for a verb; return status and answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, text = self.ask("POST", "/api/verbs", data, key, **headers)
        return status, json.loads(text)


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side ends the connection."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while more := connection.recv(65536):
            data += more
    return data


def split_response(data: bytes) -> tuple[int, bytes]:
    """Return status and body, without the marks of its chunks."""
    head, _, body = data.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():
        whole = b""
        while body:
            size, _, rest = body.partition(b"\r\n")
            length = int(size or b"0", 16)
            whole, body = whole + rest[:length], rest[length + 2 :] if length else b""
        body = whole
    return int(head.split(b" ", 2)[1]) if head else 0, body


@contextlib.contextmanager
def live_world(*, controls: bool = True, document: LiveDocument | None = None) -> Iterator[LiveWorld]:
    """Serve the page of a lab without nodes."""
    world = LiveWorld(controls=controls, document=document)
    world.server.start()
    try:
        yield world
    finally:
        world.server.close()
        world.routes.close()
        world.hub.close()
