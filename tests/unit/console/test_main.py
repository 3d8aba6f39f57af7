"""The launchers' command line, against a real server.

The tests cover words, exit statuses and messages.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from torrentnet.console.__main__ import USAGE, main
from torrentnet.console.commands import Command, CommandError, Commands
from torrentnet.console.remote.server import ConsoleServer
from torrentnet.runtime.process import CONSOLE_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def echo(args: list[str]) -> Iterator[str]:
    if args == ["nope.txt"]:
        raise CommandError('no file named "nope.txt" was ever published here')
    if args == ["endless"]:
        while True:
            yield "x" * 100
    yield repr(args)


@pytest.fixture
def node(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The socket of a node that echoes; the environment names it."""
    commands = Commands("tracker", name="tracker-7", on_quit=lambda: pytest.fail("the node was ended"))
    commands.add(Command(("file_logs",), "file_logs", "echoes", echo))
    commands.add(Command(("request", "logs"), "request logs", "echoes", echo))
    path = place / "console.sock"
    monkeypatch.setenv(CONSOLE_VARIABLE, str(path))
    with ConsoleServer(path, commands):
        yield path


@pytest.mark.parametrize(
    ("argv", "status", "out"),
    [
        (["file_logs", "-all"], 0, "['-all']\n"),
        (["file_logs", "-a", "--socket", "--ping", "--help-me"], 0, "['-a', '--socket', '--ping', '--help-me']\n"),
        (["file_logs", "my file.txt"], 0, "['my file.txt']\n"),
        (["file_logs", "--", "-x"], 0, "['--', '-x']\n"),
        (["request", "logs", "--last", "5", "--json"], 0, "['--last', '5', '--json']\n"),
        (["console", "file_logs", "-all"], 0, "['-all']\n"),
        (["console", "file_logs 'my file.txt' b"], 0, "['my file.txt', 'b']\n"),
        (["console", "--", "file_logs", "a"], 0, "['a']\n"),
        (["console", "--ping"], 0, "tracker-7\n"),
        (["--ping"], 0, "tracker-7\n"),
        (["console", "--help"], 0, USAGE + "\n"),
        (["file_logs", "--help"], 0, "file_logs\n  echoes\n"),
    ],
)
@pytest.mark.usefixtures("node")
def test_words_are_sent_unchanged(argv: list[str], status: int, out: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == status
    assert capsys.readouterr() == (out, "")


QUIT = "quit leaves the console's prompt, not the node; quit the node in its own terminal, or stop its container"


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (["file_logs", "nope.txt"], 1, 'no file named "nope.txt" was ever published here'),
        (["request"], 2, '"request" is not complete: type "request logs"'),
        (["console", "--pong"], 2, "unknown option --pong; type console --help"),
        (["console", "--socket"], 2, "--socket needs a path; type console --help"),
        (["console", "file_logs 'a"], 2, 'a quote is not closed: "file_logs \'a"'),
        (["file_logs", "x" * 5000], 2, "the command is too long: 5018 bytes, at most 4096 are allowed"),
        (["console", "quit"], 2, QUIT),
    ],
)
@pytest.mark.usefixtures("node")
def test_messages(argv: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == status
    assert capsys.readouterr() == ("", f"error: {message}\n")


def test_the_socket_can_be_given(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (
        ["--socket", str(node), "file_logs", "a"],
        ["file_logs", "--socket", str(node), "a"],
        ["console", f"--socket={node}", "file_logs", "a"],
    ):
        assert main(argv, {CONSOLE_VARIABLE: "/nowhere"}) == 0
        assert capsys.readouterr() == ("['a']\n", "")


def test_messages_without_a_node(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["request", "logs"], {}) == 2
    assert capsys.readouterr().err == (
        "error: no console socket: give --socket PATH or set TORRENTNET_CONSOLE"
        " to the path that the program was started with (--console PATH)\n"
    )
    for argv in (["console", "--ping"], ["request", "logs"], ["console"]):
        with open(os.devnull, encoding="utf-8") as nothing, pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdin", nothing)
            expected = 0 if argv == ["console"] else 3
            assert main(argv, {CONSOLE_VARIABLE: str(place / "c")}) == expected
        assert ("there is no such socket" in capsys.readouterr().err) == (expected == 3)


def launched(*argv: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "torrentnet.console", *argv]
    return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=30)


@pytest.mark.usefixtures("node")
def test_commands_from_a_pipe_and_the_status_of_the_last() -> None:
    done = launched("console", stdin=b"file_logs 'my file.txt'\n\nfile_logs nope.txt\nrequest logs")
    assert (done.returncode, done.stdout) == (0, b"['my file.txt']\n[]\n")
    assert done.stderr == b'error: no file named "nope.txt" was ever published here\n'
    assert launched("console", stdin=b"request logs\nfile_logs nope.txt\n").returncode == 1
    assert launched("console", stdin=b"file_logs nope.txt\nquit\nrequest logs\n").stdout == b""
    done = launched("console", stdin=b"x" * 5000 + b"\n")
    assert (done.returncode, done.stderr) == (2, b"error: the line is too long: at most 4096 bytes are allowed\n")


def test_commands_from_a_pipe_without_a_node(node: Path) -> None:
    node.unlink()
    done = launched("console", stdin=b"request logs\nrequest logs\n")
    assert (done.returncode, done.stdout, done.stderr.count(b"error:")) == (3, b"", 1)


@pytest.mark.usefixtures("node")
def test_a_closed_pipe_is_not_an_error() -> None:
    command = [sys.executable, "-m", "torrentnet.console", "file_logs", "endless"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"x" * 100 + b"\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 141
