"""``console`` without words: an interactive prompt in a pty.

The prompt is for a demo program in another process.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import termios
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.console.pseudo import DEADLINE_S, Pseudo

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DEMO = str(ROOT / "tests/unit/console/demo.py")
PROMPT = "demo-1>"


class Node:
    """The demo with its socket, and a console that talks to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.process = subprocess.Popen(
            [sys.executable, DEMO, "--console", str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        assert b"listening" in self.process.stdout.readline()

    def console(self, *, job: bool = False) -> Pseudo:
        return Pseudo("-m", "torrentnet.console", "console", "--socket", str(self.path), job=job)

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=DEADLINE_S)


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    made = Node(tmp_path / "c")
    yield made
    made.end()
    assert made.process.returncode == 0


def test_the_same_commands_with_completion_and_history(node: Node) -> None:
    with node.console() as console:
        console.until_shown("console of demo-1: help lists the commands, quit or Ctrl-D leaves")
        console.until_line(PROMPT)
        console.type("request l\t\r")
        console.until_shown("nothing was asked")
        console.type("file\tm\t\r")
        console.until_shown("about my file.txt")
        console.type("\x1b[A\x1b[A")
        console.until_line(f"{PROMPT} request logs")
        console.type("\x15file_logs nope\r")
        console.until_shown('error: no file named "nope" was ever published')
        console.type("help\r")
        console.until_shown("leave this console; the demo keeps running")
        console.until_line(PROMPT)


@pytest.mark.parametrize("keys", ["quit\r", "exit\r", "\x04", "\x03"])
def test_leaving_does_not_end_the_node(node: Node, keys: str) -> None:
    with node.console() as console:
        console.until_line(PROMPT)
        console.type(keys)
        assert console.until_ended() == 0
        assert console.restored
    assert node.process.poll() is None


def test_ctrl_c_discards_a_line_or_cancels_an_answer(node: Node) -> None:
    with node.console() as console:
        console.until_line(PROMPT)
        console.type("half a line")
        console.until_line(f"{PROMPT} half a line")
        console.type("\x03")
        console.until_line(PROMPT)
        console.type("count 1000000000\r")
        console.until_shown("line 100")
        console.type("\x03")
        console.until_said("was cut off")
        console.type("request logs\r")
        console.until_shown("nothing was asked")


def test_ctrl_c_loses_nothing_that_was_printed(node: Node) -> None:
    with node.console() as console:
        console.until_line(PROMPT)
        console.type("count 1000000000\r")
        console.until_shown("line 1")
        # Output that the terminal holds and nobody has read yet.
        assert select.select([console.master], [], [], DEADLINE_S)[0]
        console.type("\x03")
        console.until_said("was cut off")
        console.until_line(PROMPT)
        numbers = [int(line.removeprefix("line ")) for line in console.screen.lines if line.startswith("line ")]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_when_the_node_ends_the_prompt_stays(node: Node) -> None:
    with node.console() as console:
        console.until_line(PROMPT)
        node.end()
        console.type("request logs\r")
        console.until_said(f"error: no answer from {node.path}"[:70])
        console.until_line(PROMPT)
        console.type("file\t")
        console.until(lambda: console.screen.bells > 0, "a bell")
        console.type("\x15\x04")
        assert console.until_ended() == 0


def test_suspended_and_continued(node: Node) -> None:
    with node.console(job=True) as console:
        console.order("fg")
        console.until_line(PROMPT)
        # On Ctrl-Z the kernel discards input that was typed but not read.
        console.type("half")
        console.until_line(f"{PROMPT} half")
        console.type("\x1a")
        assert console.wait() == f"stopped {signal.SIGTSTP:d}"
        assert console.restored
        console.order(f"signal {signal.SIGCONT:d}")
        console.until(lambda: not console.mode() & termios.ICANON, "key mode again")
        console.until_line(f"{PROMPT} half")


def test_without_a_node_there_is_no_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with Pseudo("-m", "torrentnet.console", "console", "--socket", str(tmp_path / "c")) as console:
        assert console.until_ended() == 3
        console.until_shown("error: no answer from")
        assert PROMPT not in console.raw
        assert console.restored


def test_without_a_terminal_type_it_is_plain_lines(node: Node) -> None:
    with Pseudo(
        "-m", "torrentnet.console", "console", environ={"TERM": "dumb", "TORRENTNET_CONSOLE": str(node.path)}
    ) as console:
        console.until_shown("quit or Ctrl-D leaves")
        console.type("request logs\n")
        console.until_shown("nothing was asked")
        console.type("\x04")
        assert console.until_ended() == 0
        assert "\x1b" not in console.raw
    assert os.path.exists(node.path)
