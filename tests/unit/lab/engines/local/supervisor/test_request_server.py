from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from torrentnet.lab.engines.local import protocol
from torrentnet.lab.engines.local.client import SupervisorClient, SupervisorGoneError
from torrentnet.lab.engines.local.journal_follower import stream_journal
from torrentnet.lab.engines.local.supervisor.event_loop import EventLoop
from torrentnet.lab.engines.local.supervisor.journal import JournalEntry, OutputJournal
from torrentnet.lab.engines.local.supervisor.request_server import RequestRejectedError, RequestServer
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torrentnet.lab.engines.local.supervisor.request_server import Reply, RequestConnection

ENTRIES = [JournalEntry("tracker", float(number), "x" * 1000) for number in range(200)]
"""More than fits in one packet, and in a socket's buffer."""


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
                case "end":
                    loop.end()
                    return {}
            raise RequestRejectedError("not today")

        server = RequestServer(f"{name}/{protocol.SOCKET}", loop, OutputJournal(f"{name}/{protocol.JOURNAL}"), handle)
        server.record(ENTRIES)
        thread = threading.Thread(target=loop.run)
        thread.start()
        try:
            yield Path(name)
        finally:
            with contextlib.suppress(EngineError):
                SupervisorClient(Path(name)).request("end")
            thread.join(10)
            # A supervisor's descriptors end with its process.
            for open_socket in (server._server, *(connection.socket for connection in server._connections)):
                open_socket.close()


def test_a_request_gets_its_reply(directory: Path) -> None:
    assert SupervisorClient(directory).states() == {}


def test_a_rejected_request_is_an_engine_error(directory: Path) -> None:
    with pytest.raises(EngineError, match="not today"):
        SupervisorClient(directory).request("dance")


def test_a_command_gets_its_streams(directory: Path) -> None:
    result = SupervisorClient(directory).run("tracker", ["cat"], timeout=10.0, stdin="hello")
    assert (result.status, result.stdout, result.stderr) == (3, "typed: hello", "")


def test_the_journal_is_sent_from_its_beginning(directory: Path) -> None:
    assert list(stream_journal(SupervisorClient(directory), follow=False)) == ENTRIES


def test_without_a_supervisor_there_is_an_error(directory: Path) -> None:
    with pytest.raises(SupervisorGoneError):
        SupervisorClient(directory / "nothing").request("states")
