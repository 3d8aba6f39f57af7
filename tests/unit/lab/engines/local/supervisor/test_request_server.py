from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from torrentnet.lab.engines.local import protocol
from torrentnet.lab.engines.local.client import SupervisorClient, SupervisorGoneError
from torrentnet.lab.engines.local.journal_follower import JournalFollower, stream_journal
from torrentnet.lab.engines.local.supervisor.event_loop import EventLoop
from torrentnet.lab.engines.local.supervisor.journal import JournalEntry, OutputJournal
from torrentnet.lab.engines.local.supervisor.request_server import RequestRejectedError, RequestServer
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torrentnet.lab.engines.local.supervisor.request_server import Reply, RequestConnection

ENTRIES = [JournalEntry("tracker", float(number), "x" * 1000, number=number) for number in range(1, 201)]
"""More than fits in one packet, and in a socket's buffer."""
LIMIT = 2 * 250_000
"""Of a node's journal: half of it holds all entries once."""


class Followed:
    """What a follower of the journal has passed on."""

    def __init__(self, directory: Path) -> None:
        self.lines: list[str] = []
        self.lost: list[str] = []
        self._changed = threading.Condition()
        self.follower = JournalFollower(
            SupervisorClient(directory),
            ["tracker"],
            lambda line: self._add(self.lines, line.text),
            lambda _: None,
            lambda reason, node: self._add(self.lost, f"{node}: {reason}" if node else reason),
        )

    def _add(self, to: list[str], text: str) -> None:
        with self._changed:
            to.append(text)
            self._changed.notify_all()

    def wait(self, wanted: list[str], count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(wanted) >= count, 30.0)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A server with a journal listens at the socket in this directory."""
    with tempfile.TemporaryDirectory(prefix="ts-") as name:
        loop = EventLoop()

        def handle(connection: RequestConnection, request: dict[str, Any], descriptors: list[int]) -> Reply | None:
            match request["do"]:
                case "states":
                    return {"states": {}}
                case "exec":
                    os.write(descriptors[1], b"typed: " + os.read(descriptors[0], 100))
                    return {"status": 3}
                case "watch":
                    server.follow(connection)
                    return None
                case "break":
                    for other in list(server._connections):
                        if other.reader is not None:
                            server._close(other)
                    return {}
                case "full":
                    path = Path(name, protocol.JOURNAL, "tracker")
                    path.unlink()
                    path.symlink_to("/dev/full")
                    server.record("tracker", ENTRIES[:1])
                    return {}
                case "flood":
                    for _ in range(2):
                        server.record("tracker", ENTRIES)
                    return {}
                case "end":
                    loop.end()
                    return {}
            raise RequestRejectedError("not today")

        journal = OutputJournal(f"{name}/{protocol.JOURNAL}", {"tracker": LIMIT, "seeder-1": LIMIT})
        server = RequestServer(f"{name}/{protocol.SOCKET}", loop, journal, handle)
        server.record("tracker", ENTRIES)
        thread = threading.Thread(target=loop.run)
        thread.start()
        try:
            yield Path(name)
        finally:
            with contextlib.suppress(EngineError):
                SupervisorClient(Path(name)).request("end")
            thread.join(60)
            # A supervisor's descriptors end with its process.
            for open_socket in (server._server, *(connection.socket for connection in server._connections)):
                open_socket.close()


def test_a_request_gets_its_reply(directory: Path) -> None:
    assert SupervisorClient(directory).states() == {}


def test_a_rejected_request_is_an_engine_error(directory: Path) -> None:
    with pytest.raises(EngineError, match="not today"):
        SupervisorClient(directory).request("dance")


def test_a_command_gets_its_streams(directory: Path) -> None:
    result = SupervisorClient(directory).run("tracker", ["cat"], timeout=60.0, stdin="hello")
    assert (result.status, result.stdout, result.stderr) == (3, "typed: hello", "")


def test_the_journal_is_sent_from_its_beginning(directory: Path) -> None:
    assert list(stream_journal(SupervisorClient(directory), follow=False)) == ENTRIES


def test_without_a_supervisor_there_is_an_error(directory: Path) -> None:
    with pytest.raises(SupervisorGoneError):
        SupervisorClient(directory / "nothing").request("states")


def test_a_connection_that_breaks_is_opened_again(directory: Path) -> None:
    followed = Followed(directory)
    for _ in range(3):
        SupervisorClient(directory).request("break")
    followed.wait(followed.lines, len(ENTRIES))
    followed.follower.close()
    assert followed.lines == [entry.text for entry in ENTRIES]
    assert not followed.lost


def test_only_the_node_that_floods_loses_lines(directory: Path) -> None:
    connection, _ = SupervisorClient(directory).watch()
    with connection:
        # Two times more than is kept, while the reader waits.
        SupervisorClient(directory).request("flood")
        SupervisorClient(directory).request("flood")
        followed = Followed(directory)
        followed.wait(followed.lost, 1)
        followed.wait(followed.lines, len(ENTRIES))
        followed.follower.close()
    assert followed.lost[0].startswith("tracker: tracker printed faster than its output could be read: ")


def test_a_journal_that_cannot_be_written_is_a_loss(directory: Path) -> None:
    followed = Followed(directory)
    followed.wait(followed.lines, len(ENTRIES))
    SupervisorClient(directory).request("full")
    followed.wait(followed.lost, 1)
    followed.follower.close()
    assert followed.lost == ["the journal of the nodes cannot be written: No space left on device"]


def test_a_supervisor_that_ends_is_a_loss(directory: Path) -> None:
    followed = Followed(directory)
    SupervisorClient(directory).request("end")
    (directory / protocol.SOCKET).unlink()
    followed.follower._connection.shutdown(socket.SHUT_RDWR)
    followed.wait(followed.lost, 1)
    followed.follower.close()
    assert followed.lost == ["the supervisor of the lab's nodes is gone, and the nodes with it"]
