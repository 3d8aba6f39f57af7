"""Attacks on the page's server with raw sockets, and what its users do."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.lab import golden
from tests.unit.lab.ui.stand_in import PATIENCE, LiveWorld, live_world, read_all, split_response
from torrentnet.lab.errors import UsageError
from torrentnet.lab.ui import routes as routes_module
from torrentnet.lab.ui.connection import MAX_CONNECTIONS, BoundedConnection
from torrentnet.lab.ui.server import PageSocket

if TYPE_CHECKING:
    from collections.abc import Iterator

KILL = {"verb": "kill", "nodes": ["leecher-1"]}
PATHS = ("/api/session", "/api/document", "/api/stream?after=0", "/api/scenario")


@pytest.fixture
def world() -> Iterator[LiveWorld]:
    with live_world() as found:
        yield found


# -- what users do -----------------------------------------------------------------------------------


def test_page_needs_no_key_and_holds_no_data(world: LiveWorld) -> None:
    world.hub.add_row('{"secret": "leecher-1"}')
    status, html = world.ask("GET", "/", key="")
    assert status == 200
    assert b"torrentnetViewer" in html
    assert b"secret" not in html
    assert world.rules.control_key.encode() not in html


def test_stream_goes_on_where_the_document_ends(world: LiveWorld) -> None:
    world.hub.add_row('"first"')
    news = threading.Event()
    world.hub.listen(news.set)
    while "first" not in (document := json.loads(world.ask("GET", "/api/document")[1]))["rows"]:
        assert news.wait(PATIENCE)
    with world.connect() as connection:
        connection.sendall(world.head("GET", f"/api/stream?after={document['seq']}"))
        world.hub.add_row('"second"')
        data = b""
        while b"second" not in data:
            data += connection.recv(65536)
    assert b'"first"' not in data


def test_browsers_get_document_and_stream_compressed(world: LiveWorld) -> None:
    world.hub.add_row('"first"')
    status, body = world.ask("GET", "/api/document", Accept_Encoding="gzip, br")
    assert status == 200
    assert json.loads(gzip.decompress(body))["run"] == {"scenario": "trial"}
    with world.connect() as connection:
        connection.sendall(world.head("GET", "/api/stream?after=0", Accept_Encoding="gzip"))
        reader, text, data = zlib.decompressobj(zlib.MAX_WBITS + 16), b"", b""
        while b"first" not in text:
            data += connection.recv(65536)
            head, _, body = data.partition(b"\r\n\r\n")
            assert b"content-encoding: gzip" in head
            text = zlib.decompressobj(zlib.MAX_WBITS + 16).decompress(_whole_chunks(body))
        assert reader.decompress(_whole_chunks(body)) == text
    assert json.loads(text.removeprefix(b"data: "))["delta"] == {"rows": ["first"]}


def _whole_chunks(body: bytes) -> bytes:
    whole = b""
    while b"\r\n" in body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        if len(rest) < length + 2:
            break
        whole, body = whole + rest[:length], rest[length + 2 :]
    return whole


def test_verb_is_carried_out_and_answered(world: LiveWorld) -> None:
    assert world.post(KILL) == (200, {"ok": True, "text": "kill done", "command": "make it", "yaml": "- {}"})
    assert [request.nodes for request in world.lab.done] == [("leecher-1",)]


def test_class_watches_and_changes_nothing(world: LiveWorld) -> None:
    watch = world.rules.watch_key
    assert json.loads(world.ask("GET", "/api/session")[1])["link"].endswith("#token=watch")
    assert json.loads(world.ask("GET", "/api/session", key=watch)[1]) == {"readOnly": True, "link": None}
    assert world.ask("GET", "/api/document", key=watch)[0] == 200
    assert world.post(KILL, key=watch) == (403, {"ok": False, "text": "this address is for watching only"})
    assert world.lab.done == []


def test_read_only_server_has_no_key_for_verbs() -> None:
    with live_world(controls=False) as world:
        assert world.post(KILL, key="")[0] == 401
        assert world.post(KILL, key=world.rules.watch_key)[0] == 403
        assert world.lab.done == []


# -- attacks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", *PATHS])
def test_other_names_of_this_machine_get_nothing(world: LiveWorld, path: str) -> None:
    for host in ("evil.example", f"evil.example:{world.port}", "127.0.0.1", ""):
        assert world.ask("GET", path, Host=host)[0] in {400, 421}
    head = world.head("GET", path).replace(b"\r\n\r\n", b"\r\nHost: evil.example\r\n\r\n")
    with world.connect() as connection:
        connection.sendall(head)
        assert split_response(read_all(connection))[0] in {400, 421}


def test_other_pages_get_nothing(world: LiveWorld) -> None:
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{world.port}", f"http://localhost:{world.port}"):
        assert world.post(KILL, Origin=origin)[0] == 403
        assert world.ask("GET", "/api/document", Origin=origin)[0] == 403
    assert world.post(KILL, Sec_Fetch_Site="cross-site")[0] == 403
    assert world.ask("GET", "/", key="", Sec_Fetch_Site="cross-site")[0] == 200
    assert world.lab.done == []
    assert world.post(KILL, Origin=f"http://127.0.0.1:{world.port}", Sec_Fetch_Site="same-origin")[0] == 200


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_told_without_the_key(world: LiveWorld, path: str) -> None:
    for value in ("", "Bearer", "Bearer ", f"Bearer {'0' * 32}", f"Basic {world.rules.control_key}", "Bearer \xe9"):
        assert world.ask("GET", path, Authorization=value)[0] == 401
    assert world.ask("GET", f"{path}{'&' if '?' in path else '?'}token={world.rules.control_key}", key="x")[0] == 401
    assert world.ask("GET", path, Authorization="", Cookie=f"token={world.rules.control_key}")[0] == 401


def test_verbs_are_posted_as_json_only(world: LiveWorld) -> None:
    body = json.dumps(KILL).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        assert world.post(body, Content_Type=kind)[0] == 415
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH"):
        assert world.ask(method, "/api/verbs")[0] == 405
    assert world.post(b"{")[0] == 400
    assert world.lab.done == []


def test_no_answer_allows_other_pages_anything(world: LiveWorld) -> None:
    for method, path in (("GET", "/"), ("GET", "/api/document"), ("OPTIONS", "/api/verbs"), ("GET", "/nothing")):
        with world.connect() as connection:
            connection.sendall(world.head(method, path, Origin=f"http://127.0.0.1:{world.port}"))
            head = read_all(connection).partition(b"\r\n\r\n")[0].lower()
        assert b"access-control" not in head
        assert b"set-cookie" not in head
        assert b"content-security-policy: default-src 'none'" in head
        assert b"x-content-type-options: nosniff" in head
        assert b"cache-control: no-store" in head


def test_large_bodies_are_refused_unread(world: LiveWorld) -> None:
    with world.connect() as connection:
        connection.sendall(world.head("POST", "/api/verbs", Content_Type="application/json", Content_Length="10485760"))
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"x" * 10_485_760)
        data = read_all(connection)
        assert not data or split_response(data)[0] == 413
    assert world.ask("GET", "/api/session")[0] == 200


def test_chunked_bodies_have_the_same_limit(world: LiveWorld) -> None:
    with world.connect() as connection:
        head = world.head("POST", "/api/verbs", Content_Type="application/json", Transfer_Encoding="chunked")
        connection.sendall(head)
        with contextlib.suppress(ConnectionError):
            for _ in range(20):
                connection.sendall(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
        data = read_all(connection)
        assert not data or split_response(data)[0] == 413
    assert world.lab.done == []


def test_garbage_ends_its_own_connection_only(world: LiveWorld) -> None:
    for garbage in (b"\0" * 100, b"GET / HTTP/9.9\r\n\r\n", b"A" * 100_000, b"\x16\x03\x01" + os.urandom(500)):
        with world.connect() as connection, contextlib.suppress(ConnectionError):
            connection.sendall(garbage)
            assert split_response(read_all(connection))[0] in {0, 400, 421, 431}
    for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/api/../api/document", "//api/document"):
        assert world.ask("GET", path, key="")[0] in {401, 404}
    assert world.ask("GET", "/api/session")[0] == 200


def test_wrong_numbers_of_a_stream_are_refused(world: LiveWorld) -> None:
    for after in ("", "x", "-1", "1" * 30, "٣".encode().decode("latin-1")):
        assert world.ask("GET", f"/api/stream?after={after}")[0] == 400


def test_late_viewer_fetches_the_document_again(world: LiveWorld) -> None:
    assert world.ask("GET", "/api/stream?after=7") == (200, b'data: {"reset":true}\n\n')


def test_slow_requests_are_cut_off(world: LiveWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedConnection, "request_timeout", 0.2)
    with world.connect() as silent, world.connect() as half:
        half.sendall(b"GET / HTTP/1.1\r\nHost:")
        assert read_all(silent) == b""
        assert read_all(half) == b""


def test_slow_body_is_cut_off(world: LiveWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torrentnet.lab.ui.access.BODY_TIMEOUT", 0.2)
    with world.connect() as connection:
        head = world.head("POST", "/api/verbs", Content_Type="application/json", Content_Length="100")
        connection.sendall(head + b"{")
        assert split_response(read_all(connection))[0] == 408


def test_many_connections_keep_nobody_out_for_long(world: LiveWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedConnection, "request_timeout", 0.5)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    try:
        held = []
        for _ in range(4 * MAX_CONNECTIONS):
            with contextlib.suppress(OSError):
                held.append(world.connect())
        # Most are refused at once; the others send nothing, and are cut off.
        for connection in held:
            assert read_all(connection) == b""
            connection.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert world.ask("GET", "/api/session")[0] == 200


def test_viewer_that_stops_reading_is_cut_off(world: LiveWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedConnection, "unread_timeout", 0.3)
    with world.connect() as lazy, world.connect() as eager:
        for connection in (lazy, eager):
            connection.sendall(world.head("GET", "/api/stream?after=0"))
        cut = select.poll()
        cut.register(lazy, 0)  # errors alone: nothing is read
        news, gone = threading.Event(), threading.Event()
        world.hub.listen(news.set)

        def read() -> None:
            with contextlib.suppress(OSError):
                while b"the end" not in eager.recv(1 << 20):
                    pass
            gone.set()

        reader = threading.Thread(target=read)
        reader.start()
        deadline = time.monotonic() + PATIENCE
        while not cut.poll(0):
            assert time.monotonic() < deadline, "the lazy viewer is never cut off"
            news.clear()
            for _ in range(50):
                world.hub.add_row(json.dumps(os.urandom(10_000).hex()))
            assert news.wait(PATIENCE)
        world.hub.add_row('"the end"')
        assert gone.wait(PATIENCE), "the other viewer got everything"
        reader.join()


def test_viewers_are_bounded(world: LiveWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes_module, "MAX_VIEWERS", 1)
    world.hub.add_row("1")
    with world.connect() as first:
        first.sendall(world.head("GET", "/api/stream?after=0"))
        assert first.recv(100)
        status, answer = world.ask("GET", "/api/stream?after=0")
    assert status == 503
    assert b"pages are open already" in answer


def test_verbs_in_progress_are_bounded_and_block_no_reader(world: LiveWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes_module, "MAX_VERBS", 1)
    world.lab.gate.clear()
    answers: list[Any] = []
    busy = threading.Thread(target=lambda: answers.append(world.post(KILL)))
    busy.start()
    assert world.lab.begun.wait(PATIENCE)
    assert world.post({**KILL, "verb": "stop"})[0] == 429
    assert world.ask("GET", "/api/document")[0] == 200
    world.lab.gate.set()
    busy.join()
    assert answers[0][0] == 200


# -- begin and end -----------------------------------------------------------------------------------


def test_port_in_use_and_unknown_hosts_are_said() -> None:
    place = PageSocket("127.0.0.1", 0)
    texts = []
    for host, port in (("127.0.0.1", place.port), ("192.0.2.1", 6780), ("nowhere.invalid", 6780), ("a b", 6780)):
        with pytest.raises(UsageError) as caught:
            PageSocket(host, port)
        # The resolver has words of its own.
        message = caught.value.message.replace(str(place.port), "PORT").partition(" is no address")
        texts.append(f"{message[0]}{message[1]}\n    {caught.value.hint}")
    place.close()
    golden.check("live_page_addresses.txt", "\n".join(texts) + "\n")


def test_only_loopback_is_not_everywhere() -> None:
    for host, everywhere in (("127.0.0.1", False), ("127.0.0.5", False), ("0.0.0.0", True)):
        place = PageSocket(host, 0)
        assert place.everywhere is everywhere
        place.close()


def test_server_with_all_addresses_answers_to_addresses_only() -> None:
    place = PageSocket("0.0.0.0", 0)
    rules = place.rules(controls=False)
    assert rules.knows_host(f"192.0.2.7:{place.port}")
    assert rules.knows_host(f"{socket.gethostname()}:{place.port}")
    assert not rules.knows_host(f"evil.example:{place.port}")
    assert rules.control_key == ""
    place.close()


def test_end_waits_for_no_viewer_and_frees_the_port(world: LiveWorld) -> None:
    world.hub.add_row("1")
    with world.connect() as viewer:
        viewer.sendall(world.head("GET", "/api/stream?after=0"))
        assert viewer.recv(100)
        world.server.close()
        read_all(viewer)
    PageSocket("127.0.0.1", world.port).close()


SERVING = """
import time
from tests.unit.lab.ui.stand_in import LiveWorld
world = LiveWorld()
world.server.start()
print(world.port, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_process_leaves_nothing(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", SERVING], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)) as viewer:
            child.send_signal(number)
            child.wait(PATIENCE)
            read_all(viewer)
    PageSocket("127.0.0.1", port).close()
