"""Remote procedure calls over a loopback port and a Unix socket."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

import pytest

from torrentnet.adapters.rpc import HttpConnection, RpcUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Return the posted document with its path, or a page that is not JSON."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = b"<html>" if document == "page" else json.dumps([self.path, document]).encode()
        self.send_response(409 if document == "page" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Id", self.headers.get("X-Id", "none"))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = document == "close"

    def address_string(self) -> str:
        return "client"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextlib.contextmanager
def serving(address: str | None = None) -> Iterator[int | str]:
    server: socketserver.BaseServer
    if address is None:
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        where: int | str = int(server.server_address[1])
    else:
        server = socketserver.ThreadingUnixStreamServer(address, Handler)
        where = address
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield where
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_a_document_is_posted_and_its_response_parsed(tmp_path: Path, unix: bool) -> None:
    with serving(str(tmp_path / "rpc") if unix else None) as address:
        connection = HttpConnection(address)
        status, headers, body = connection.post("/rpc", {"method": "x"}, {"X-Id": "7"})
        assert (status, headers["X-Id"], body) == (200, "7", ["/rpc", {"method": "x"}])
        connection.close()


def test_a_response_that_is_not_json_has_no_body() -> None:
    with serving() as address:
        connection = HttpConnection(address)
        status, _, body = connection.post("/rpc", "page", {})
        assert (status, body) == (409, None)
        connection.close()


def test_a_connection_that_the_server_closed_is_reopened() -> None:
    with serving() as address:
        connection = HttpConnection(address)
        for document in ("close", "again"):
            assert connection.post("/rpc", document, {})[2] == ["/rpc", document]
        connection.close()


def test_a_program_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(RpcUnavailable):
        HttpConnection(str(tmp_path / "rpc")).post("/rpc", {}, {})
