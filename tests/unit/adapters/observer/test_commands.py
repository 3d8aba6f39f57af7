"""A line of the console is the program's, unless it is the observer's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.unit.adapters.observer.observed import CONTENT, FILE, SHA256, WANTED, Observer
from torrentnet.adapters.observer.commands import translate

if TYPE_CHECKING:
    from pathlib import Path

SAYS = (("request logs", "all logs"), ("file_logs", "file"), ("file_logs -all", "files --every"))
SERVER = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1]); input()"


@pytest.mark.parametrize(
    ("line", "own"),
    [
        ("request logs", "all logs"),
        ("request  logs --last 5", "all logs --last 5"),
        ("file_logs a.txt", "file a.txt"),
        ("file_logs -all", "files --every"),
        ("file_logs", "file"),
        ("file_logs_x  a", "file_logs_x  a"),
        ("request", "request"),
    ],
)
def test_a_command_is_said_in_the_programs_own_words(line: str, own: str) -> None:
    assert translate(SAYS, line) == own


def test_the_observers_commands_answer_in_json(tmp_path: Path) -> None:
    with Observer(tmp_path, "get", *WANTED, code=SERVER) as observer:
        observer.until("said")
        (observer.directory / "below").mkdir()
        (observer.directory / "below" / "x").write_bytes(CONTENT)
        observer.until("state", state="seed")
        assert json.loads(observer.ask("observer", "files", str(len(CONTENT)))) == {"path": "below/x", "sha256": SHA256}
        sockets = [json.loads(line) for line in observer.ask("observer", "sockets").splitlines()]
        assert {"protocol": "tcp", "address": f"127.0.0.1:{observer.said()[0]}"} in sockets
        assert "lo:" in observer.ask("observer", "interfaces")
        status = observer.ask("observer", "status")
        assert f"{FILE} (14 bytes), below/x" in status
        assert "state        seed" in status


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("observer", 'error: "observer" is not complete: type'),
        ("observer files", "error: usage: observer files SIZE"),
        ("observer files 1MiB", "error: the size is a number, for example: observer files 1048576"),
        ("observer eat", 'error: unknown command "observer eat"'),
    ],
)
def test_a_wrong_command_of_the_observer_is_explained(words: str, error: str, tmp_path: Path) -> None:
    with Observer(tmp_path, "run", code="input()") as observer:
        observer.until("listening")
        errors: list[str] = []
        assert observer.console.run(words, errors.append, errors.append) == 2
        assert "".join(errors).startswith(error)
        assert observer.console.complete("observer fi") == ["files"]
        assert observer.console.complete("requ") == []
