"""The daemon's control socket, a real one under a name of the test's own."""

from __future__ import annotations

import os
import secrets
import select
import socket
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from torrentnet.shaper.control import ControlRequest, ControlServer, send_request
from torrentnet.shaper.errors import AlreadyRunningError, NotRunningError, ShaperError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ME = os.geteuid()


@pytest.fixture
def name() -> str:
    return f"\0torrentnet-test-{secrets.token_hex(8)}"


@contextmanager
def serving(server: ControlServer, answer: Callable[[ControlRequest], tuple[int, str]]) -> Iterator[None]:
    ended, end = socket.socketpair()

    def work() -> None:
        while ended.fileno() not in select.select([server.fileno(), ended.fileno()], [], [])[0]:
            server.serve(answer)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        end.close()
        thread.join()
        ended.close()


def send_too_much(caller: socket.socket, name: str) -> None:
    caller.connect(name)
    caller.sendall(bytes(8 << 20))


def test_a_long_request_gets_a_long_reply(name: str) -> None:
    text = "queue 1 delay=20ms\n" * 20_000
    with closing(ControlServer(name, ME)) as server, serving(server, lambda asked: (1, asked.command + asked.text)):
        assert send_request(ControlRequest("apply", text), name, ME) == (1, "apply" + text)


def test_an_unknown_command_does_not_disturb_the_next(name: str) -> None:
    with closing(ControlServer(name, ME)) as server, serving(server, lambda asked: (0, asked.command)):
        assert send_request(ControlRequest("dance"), name, ME) == (2, "unknown command: 'dance'")
        assert send_request(ControlRequest("status"), name, ME) == (0, "status")


def test_another_users_request_is_ignored(name: str) -> None:
    heard: list[ControlRequest] = []

    def answer(asked: ControlRequest) -> tuple[int, str]:
        heard.append(asked)
        return 0, ""

    with (
        closing(ControlServer(name, ME + 1)) as server,
        serving(server, answer),
        pytest.raises(NotRunningError, match="the shaper does not reply"),
    ):
        send_request(ControlRequest("stop"), name, ME)
    assert heard == []


def test_a_client_that_misbehaves_does_no_harm(name: str) -> None:
    with closing(ControlServer(name, ME)) as server, serving(server, lambda _: (0, "fine")):
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(name)
        with socket.socket(socket.AF_UNIX) as caller, pytest.raises(OSError, match=r".+"):
            send_too_much(caller, name)
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(name)  # and says nothing
            assert send_request(ControlRequest("status"), name, ME) == (0, "fine")


def test_without_a_shaper_there_is_an_error(name: str) -> None:
    with pytest.raises(NotRunningError) as error:
        send_request(ControlRequest("status"), name, ME)
    assert (str(error.value), error.value.status) == ("no shaper runs here", 3)


def test_an_ordinary_user_is_refused(name: str) -> None:
    with pytest.raises(ShaperError) as error:
        send_request(ControlRequest("status"), name, ME + 1)
    assert str(error.value) == "only root may control the shaper (docker exec --privileged -u 0)"


def test_there_is_one_shaper_only(name: str) -> None:
    with closing(ControlServer(name, ME)), pytest.raises(AlreadyRunningError) as error:
        ControlServer(name, ME)
    assert str(error.value) == "another shaper runs here already"
