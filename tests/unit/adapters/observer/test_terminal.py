"""Lines are typed into the program's terminal, and its answers come back."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

from tests.unit.adapters.observer.observed import Observer
from torrentnet.console.remote.frames import AttachRequest, FrameKind, FrameReader, encode_request

if TYPE_CHECKING:
    from pathlib import Path

ECHO = "while True:\n  line = input('> ')\n  print('\\x1b[1mit was\\x1b[0m', line)\n  print(end='')"
READLINE = f"import readline\n{ECHO}"
CLOSED = "import os, time\nfor number in 0, 1, 2: os.close(number)\ntime.sleep(600)"


@pytest.mark.parametrize("code", [ECHO, READLINE], ids=["input", "readline"])
def test_an_answer_is_what_follows_the_typed_line(code: str, tmp_path: Path) -> None:
    with Observer(tmp_path, "run", "--quiet", "0.2", code=code) as observer:
        observer.until("said", text=">")
        assert observer.ask("request", "logs") == "it was request logs\n"
        assert observer.ask("a  b") == "it was a  b\n"
        assert observer.ask("") == ""


def test_a_command_is_translated(tmp_path: Path) -> None:
    with Observer(tmp_path, "run", "--says", "request logs=all logs", code=ECHO) as observer:
        observer.until("said", text=">")
        assert observer.ask("request logs --last 3") == "it was all logs --last 3\n"


def test_a_program_that_says_nothing_has_an_empty_answer(tmp_path: Path) -> None:
    with Observer(tmp_path, "run", "--answer", "0.3", code="import time; time.sleep(600)") as observer:
        observer.until("listening")
        assert observer.ask("request", "logs") == ""


def test_a_program_that_talks_without_end_is_cut_off(tmp_path: Path) -> None:
    code = "import time\nwhile True: print('x', flush=True); time.sleep(0.02)"
    with Observer(tmp_path, "run", "--answer", "0.5", code=code) as observer:
        observer.until("said")
        assert set(observer.ask("request", "logs").split()) == {"x"}


def test_a_program_that_has_closed_its_terminal_lives_on(tmp_path: Path) -> None:
    with Observer(tmp_path, "run", "--answer", "0.2", "--quiet", "0.1", code=CLOSED) as observer:
        observer.until("listening")
        assert observer.ask("request", "logs") == ""
        assert not observer.named("exited")


def test_a_terminal_that_is_full_is_reported(tmp_path: Path) -> None:
    with Observer(tmp_path, "run", "--answer", "0", code="import time; time.sleep(600)") as observer:
        observer.until("listening")
        errors: list[str] = []
        while not observer.console.run("x" * 2000, errors.append, errors.append):
            pass
        assert errors == ["error: the program does not read its terminal: it is full of typed lines\n"]


def test_two_lines_cannot_be_typed_as_one(tmp_path: Path) -> None:
    with Observer(tmp_path, "run", code=ECHO) as observer:
        observer.until("listening")
        errors: list[str] = []
        assert observer.console.run(("a\nb",), errors.append, errors.append) == 1
        assert errors == ["error: one line of at most 4000 bytes can be typed\n"]


def test_a_person_attaches_to_the_programs_terminal(tmp_path: Path) -> None:
    with Observer(tmp_path, "run", code=ECHO) as observer:
        observer.until("said", text=">")
        with socket.socket(socket.AF_UNIX) as person:
            person.settimeout(30)
            person.connect(observer.console.path)
            person.sendall(encode_request(AttachRequest()))
            reader = FrameReader()
            kind, payload = reader.feed(person.recv(4096))[0]
            assert (kind, json.loads(payload)) == (FrameKind.NODE, {"program": "program", "name": "node-1"})
            person.sendall(b"hello\n")
            shown = b""
            while b"it was\x1b[0m hello" not in shown:
                shown += b"".join(data for kind, data in reader.feed(person.recv(4096)) if kind is FrameKind.OUT)
            assert shown.startswith(b"hello\n"), "the terminal echoes"
        observer.until("said", text="it was hello")
