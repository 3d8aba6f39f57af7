"""The console server with real sockets.

The tests cover ownership, permissions, limits, and misbehaving clients.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from torrentnet.console.commands import Command, CommandError, Commands
from torrentnet.console.remote import server as server_module
from torrentnet.console.remote.client import ConsoleClient, NoAnswerError
from torrentnet.console.remote.frames import MAX_PAYLOAD, FrameKind, FrameReader, RequestError
from torrentnet.console.remote.server import MAX_CONNECTIONS, MAX_PATH_BYTES, ConsoleServer, ConsoleServerError
from torrentnet.console.table import for_terminal, table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEADLINE_S = 20


class Node:
    """A server with commands, and how they ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entered = threading.Semaphore(0)
        self.may_go_on = threading.Event()
        self.closed = threading.Event()
        self.commands = Commands("tracker", name="tracker-7", on_quit=lambda: None)
        self.commands.add(Command(("wait",), "wait", "waits", self._wait))
        self.commands.add(Command(("flood",), "flood", "endless", self._flood))
        self.commands.add(Command(("echo",), "echo WORDS", "echoes", lambda args: [*args], lambda *_: self.names))
        self.commands.add(Command(("rows",), "rows", "a table", lambda _: table((), [("x", "word " * 30)])))
        self.commands.add(Command(("fail",), "fail", "fails", self._fail))
        self.names = ["my file.txt"]
        self.server = ConsoleServer(path, self.commands)

    def _wait(self, _: list[str]) -> Iterator[str]:
        self.entered.release()
        self.may_go_on.wait(DEADLINE_S)
        yield "waited"

    def _flood(self, _: list[str]) -> Iterator[str]:
        try:
            while True:
                yield "x" * 10_000
        finally:
            self.closed.set()

    def _fail(self, _: list[str]) -> Iterator[str]:
        yield "half"
        raise CommandError("the other half is missing")

    def ask(self, command: str | tuple[str, ...]) -> tuple[int, str, str]:
        out: list[str] = []
        err: list[str] = []
        status = ConsoleClient(str(self.path)).run(command, out.append, err.append)
        return status, "".join(out), "".join(err)

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(DEADLINE_S)
        connection.connect(str(self.path))
        return connection


@pytest.fixture
def node(place: Path) -> Iterator[Node]:
    made = Node(place / "console.sock")
    with made.server:
        yield made
        made.may_go_on.set()


def frames_of(connection: socket.socket) -> list[tuple[FrameKind, bytes]]:
    reader = FrameReader()
    found: list[tuple[FrameKind, bytes]] = []
    while data := connection.recv(65536):
        found += reader.feed(data)
    return found


def test_an_answer(node: Node) -> None:
    assert node.ask(("echo", "my file.txt", "ü")) == (0, "my file.txt\nü\n", "")
    assert node.ask("echo 'my file.txt' a") == (0, "my file.txt\na\n", "")
    assert node.ask("fail") == (1, "half\n", "error: the other half is missing\n")
    assert node.ask(()) == (0, "", "")
    assert node.ask("nonsense") == (2, "", 'error: unknown command "nonsense": type help for the list\n')
    assert node.ask("quit")[0] == 2


def test_a_table_fits_into_the_readers_terminal(node: Node) -> None:
    for columns in (None, 40):
        with for_terminal(columns):
            _, out, _ = node.ask("rows")
        assert (max(map(len, out.splitlines())) <= 40) == (columns == 40)


def test_ping_and_completion(node: Node) -> None:
    client = ConsoleClient(str(node.path))
    assert client.ping() == "tracker-7"
    assert client.complete("echo 'my ") == ["my file.txt"]
    assert client.complete("xyz") == []


def test_completions_fit_a_frame_whatever_the_names(node: Node) -> None:
    node.names = ["\U0001f600" * 250 + str(number) for number in range(200)]
    found = ConsoleClient(str(node.path)).complete("echo ")
    assert 0 < len(found) < 200
    assert len(json.dumps(found)) <= MAX_PAYLOAD


def test_the_socket_is_private_and_removed_in_the_end(node: Node) -> None:
    assert stat.S_IMODE(node.path.stat().st_mode) == 0o600
    node.server.stop()
    assert list(node.path.parent.iterdir()) == []
    node.server.stop()


def test_a_socket_that_a_killed_program_left_is_replaced(place: Path) -> None:
    path = place / "console.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    node = Node(path)
    with node.server:
        assert node.ask("echo a") == (0, "a\n", "")


def test_the_socket_of_a_running_program_is_left_alone(node: Node) -> None:
    with pytest.raises(ConsoleServerError) as caught:
        Node(node.path).server.start()
    assert str(caught.value) == (
        f"the console's socket is in use: another program answers at {node.path}; stop it, or choose another path"
    )
    assert node.ask("echo a") == (0, "a\n", "")


def test_a_successor_keeps_its_socket_when_the_predecessor_stops(node: Node) -> None:
    node.path.unlink()
    successor = Node(node.path)
    with successor.server:
        node.server.stop()
        assert successor.ask("echo a") == (0, "a\n", "")


def test_something_else_at_the_path_is_left_alone(place: Path) -> None:
    path = place / "notes.txt"
    path.write_text("mine")
    with pytest.raises(ConsoleServerError) as caught:
        Node(path).server.start()
    assert str(caught.value) == (
        f"the console's socket path is not a socket: {path}; move that file away, or choose another path"
    )
    assert path.read_text() == "mine"


def test_a_path_that_is_too_long(place: Path) -> None:
    path = place / ("x" * MAX_PATH_BYTES)
    with pytest.raises(ConsoleServerError) as caught:
        Node(path).server.start()
    assert str(caught.value) == (
        f"the console's socket path is too long: {len(str(path))} bytes, at most 107 fit into a Unix address;"
        f" choose a shorter one: {path}"
    )


def test_a_path_of_just_the_right_length(place: Path) -> None:
    path = place / ("x" * (MAX_PATH_BYTES - len(str(place)) - 1))
    node = Node(path)
    with node.server:
        assert node.ask("echo a") == (0, "a\n", "")


def test_no_directory(place: Path) -> None:
    with pytest.raises(ConsoleServerError) as caught:
        Node(place / "no" / "c.sock").server.start()
    assert str(caught.value) == (
        f"cannot create the console's socket: there is no directory {place}/no; create it, or choose another path"
    )


def test_no_permission(place: Path) -> None:
    # A file in place of a directory: the only refusal that root gets too.
    (place / "file").touch()
    with pytest.raises(ConsoleServerError) as caught:
        Node(place / "file" / "c.sock").server.start()
    assert str(caught.value) == (
        f"cannot create the console's socket {place}/file/c.sock: Not a directory; choose another path"
    )


def test_one_connection_above_the_limit_is_asked_to_try_again(node: Node) -> None:
    results: list[tuple[int, str, str]] = []
    clients = [threading.Thread(target=lambda: results.append(node.ask("wait"))) for _ in range(MAX_CONNECTIONS)]
    for client in clients:
        client.start()
    for _ in clients:
        assert node.entered.acquire(timeout=DEADLINE_S)
    busy = f"error: {MAX_CONNECTIONS} consoles are being answered already; try again in a moment\n"
    assert node.ask("echo a") == (3, "", busy)
    with pytest.raises(NoAnswerError) as caught:
        ConsoleClient(str(node.path)).ping()
    assert str(caught.value) == busy.removeprefix("error: ").strip()
    node.may_go_on.set()
    for client in clients:
        client.join(DEADLINE_S)
    assert results == [(0, "waited\n", "")] * MAX_CONNECTIONS
    assert node.ask("echo a") == (0, "a\n", "")


def test_a_client_that_does_not_read_blocks_nobody(node: Node) -> None:
    with node.connect() as slow:
        slow.sendall(b'"flood"\n')
        assert node.ask("echo a") == (0, "a\n", "")
        assert not node.closed.is_set()
    # Closing the client's connection ends the endless answer.
    assert node.closed.wait(DEADLINE_S)


def test_a_client_that_takes_too_long_is_dropped(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "REQUEST_TIMEOUT", 0.05)
    monkeypatch.setattr(server_module, "WRITE_TIMEOUT", 0.05)
    node = Node(place / "c.sock")
    with node.server:
        with node.connect() as silent:
            silent.sendall(b'"ech')
            assert frames_of(silent) == []
        with node.connect() as deaf:
            deaf.sendall(b'"flood"\n')
            assert node.closed.wait(DEADLINE_S)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"GET / HTTP/1.1\r\n", "error: the request is not a line of JSON in UTF-8\n"),
        (b"5\n", "error: the request is not a string, an array of strings, run, complete, ping or attach\n"),
        (b"x" * 4096, "error: the request is too long: at most 4096 bytes are allowed\n"),
        (b'"echo', "error: the request has no end: its newline is missing\n"),
        (b"", "error: the request has no end: its newline is missing\n"),
    ],
)
def test_messages_to_clients_that_ask_wrongly(node: Node, sent: bytes, message: str) -> None:
    with node.connect() as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        assert frames_of(client) == [(FrameKind.ERR, message.encode()), (FrameKind.STATUS, b"2")]


def test_stopping_ends_open_answers(node: Node) -> None:
    with node.connect() as client:
        client.sendall(b'"flood"\n')
        client.recv(1)
        node.server.stop()
        while client.recv(65536):
            pass
    assert node.closed.wait(DEADLINE_S)


@pytest.fixture
def strange(place: Path) -> Iterator[tuple[Path, socket.socket]]:
    """A socket at which another program listens."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(DEADLINE_S)
        listener.bind(str(place / "s"))
        listener.listen(1)
        yield place / "s", listener


def run_client(path: Path) -> str:
    with pytest.raises(NoAnswerError) as caught:
        ConsoleClient(str(path)).run("echo", print, print)
    return str(caught.value)


def test_messages_when_nobody_answers(place: Path) -> None:
    path = place / "c"
    assert run_client(path) == (
        f"no answer from {path}: there is no such socket; is the program running,"
        " and was it started with this path (--console PATH or TORRENTNET_CONSOLE)?"
    )
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert run_client(path) == (f"no answer from {path}: the program that made this socket is gone; start it again")
    assert run_client(place / ("x" * 200)) == f"no answer from {place}/{'x' * 200}: AF_UNIX path too long"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_message_to_another_user(node: Node) -> None:
    os.chmod(node.path.parent, 0o755)
    code = (
        "import sys; from torrentnet.console.__main__ import main; import os; os.setuid(65534);"
        " sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--socket", node.path, "request"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        3,
        f"error: no answer from {node.path}: permission denied; run this as the user that runs the program\n",
    )


def test_messages_when_something_else_answers(strange: tuple[Path, socket.socket]) -> None:
    path, listener = strange
    for answer, message in (
        (b"HTTP/1.1", f"what answers at the socket is not a console: unknown kind of frame: {path}"),
        (b"o", f"the answer from {path} was cut off: the node ended, or stopped waiting for this reader"),
    ):

        def reply(data: bytes = answer) -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                connection.sendall(data)

        thread = threading.Thread(target=reply)
        thread.start()
        assert run_client(path) == message
        thread.join(DEADLINE_S)


def test_message_when_the_node_is_paused(strange: tuple[Path, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = strange
    monkeypatch.setattr("torrentnet.console.remote.client.ANSWER_TIMEOUT", 0.01)
    monkeypatch.setattr("torrentnet.console.remote.client.CONNECT_TIMEOUT", 0.01)
    silent = f"no reply from the node at {path} within 0.01s: it is paused or too busy; try again"
    full = f"no answer from {path}: the node is paused or too busy; try again"
    with ExitStack() as waiting:
        # listen(1) asks for a queue of one; the kernel accepts one more.
        assert run_client(path) == silent
        for _ in range(2):
            waiting.enter_context(queued := socket.socket(socket.AF_UNIX))
            queued.setblocking(False)
            queued.connect_ex(str(path))
        assert run_client(path) == full


def test_a_command_that_is_too_long_is_not_sent(node: Node) -> None:
    with pytest.raises(RequestError, match="the command is too long: 5007 bytes, at most 4096 are allowed"):
        node.ask("echo " + "x" * 4999)
