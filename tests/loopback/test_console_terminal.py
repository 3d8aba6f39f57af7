"""A program's own terminal, tested with a real demo program.

The program runs in a pty, on pipes, without input, and in the background.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import termios
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from tests.unit.console.pseudo import DEADLINE_S, Pseudo
from torrentnet.runtime.events import parse_event

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DEMO = str(ROOT / "tests/unit/console/demo.py")
PROMPT = "demo-1>"


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def ticks(tmp_path: Path) -> Iterator[tuple[str, IO[str]]]:
    """A FIFO for ``--ticks``: each line written to it is an event of the demo."""
    path = tmp_path / "ticks"
    os.mkfifo(path)
    # Open for reading and writing, so that open() does not block.
    with open(os.open(path, os.O_RDWR), "w", buffering=1, encoding="utf-8") as fifo:
        yield str(path), fifo


def started(*options: str, **kwargs: object) -> Pseudo:
    pseudo = Pseudo(DEMO, *options, **kwargs)  # type: ignore[arg-type]  # passed on as they are
    pseudo.until_line(PROMPT)
    return pseudo


def test_events_do_not_damage_the_typed_line(ticks: tuple[str, IO[str]]) -> None:
    path, fifo = ticks
    with started("--ticks", path) as pseudo:
        typed = ""
        for number, char in enumerate("file_logs 'my file.txt'"):
            pseudo.type(char)
            print(f"n{number}", file=fifo)
            typed += char
            pseudo.until_shown(f"tick text=n{number}")
            pseudo.until_line(f"{PROMPT} {typed.rstrip()}".rstrip())
        pseudo.type("\x1b[D\x1b[D\x1b[D")
        column = len(f"{PROMPT} {typed}") - 3
        pseudo.until(lambda: pseudo.screen.column == column, "the cursor three to the left")
        print("once more, longer than the terminal is wide: " + "x" * 100, file=fifo)
        pseudo.until_shown("x" * 10)
        pseudo.until(
            lambda: pseudo.screen.line == f"{PROMPT} {typed}" and pseudo.screen.column == column,
            "the same line, and the cursor where it was",
        )
        pseudo.type("\r")
        pseudo.until_shown("about my file.txt")
        pseudo.until_line(PROMPT)
        lines = pseudo.screen.lines
        assert lines.index(f"{PROMPT} {typed}") + 1 == lines.index("about my file.txt")
        events = [line for line in lines if " tick text=n" in line]
        assert len(events) == len(typed)
        assert all(parse_event(line) for line in events)


def test_an_answer_begins_below_waiting_events() -> None:
    with started() as pseudo:
        pseudo.type("emit 2\rcount 2\r")
        pseudo.until_shown("line 1")
        pseudo.until_line(PROMPT)
        first = pseudo.screen.lines.index(f"{PROMPT} emit 2") + 1
        events, rest = pseudo.screen.lines[first : first + 2], pseudo.screen.lines[first + 2 :]
        assert all(parse_event(line) for line in events)
        assert rest == [f"{PROMPT} count 2", "line 0", "line 1", PROMPT]


def test_completion_history_and_help() -> None:
    with started() as pseudo:
        pseudo.type("re\tlo\t")
        pseudo.until_line(f"{PROMPT} request logs")
        pseudo.type("\r")
        pseudo.until_shown("nothing was asked")
        pseudo.type("file\t\t")
        pseudo.until_shown("-all         my file.txt")
        pseudo.until_line(f"{PROMPT} file_logs")
        pseudo.type("m\t\r")
        pseudo.until_shown("about my file.txt")
        pseudo.type("\x1b[A\x1b[A")
        pseudo.until_line(f"{PROMPT} request logs")
        pseudo.type("\x15nope\r")
        pseudo.until_shown('error: unknown command "nope": type help for the list')
        pseudo.type("help\r")
        pseudo.until_shown("end this demo")


def test_a_line_longer_than_the_terminal_is_wide() -> None:
    with started(width=30) as pseudo:
        pseudo.type("0123456789" * 5)
        pseudo.until_line(f"{PROMPT} 901234567890123456789")
        rows = len(pseudo.screen.rows)
        pseudo.type("\x01")
        pseudo.until_line(f"{PROMPT} 012345678901234567890")
        assert len(pseudo.screen.rows) == rows
        pseudo.resize(80)
        pseudo.until_line(f"{PROMPT} {'0123456789' * 5}")


@pytest.mark.parametrize("keys", ["quit\r", "\x04", "\x03", "half a li\x03"])
@pytest.mark.parametrize("handlers", [(), ("--handlers",)])
def test_ways_to_end(keys: str, handlers: tuple[str, ...]) -> None:
    with started(*handlers) as pseudo:
        assert not pseudo.mode() & termios.ICANON
        pseudo.type(keys)
        assert pseudo.until_ended() == 0
        pseudo.until_shown("closing reason=")
        assert pseudo.restored
        # The last row is clean for the shell's prompt.
        assert pseudo.screen.line == ""


@pytest.mark.parametrize("handlers", [(), ("--handlers",)])
def test_a_terminated_program_restores_the_terminal(handlers: tuple[str, ...]) -> None:
    with started(*handlers) as pseudo:
        pseudo.type("half")
        pseudo.until_line(f"{PROMPT} half")
        pseudo.process.send_signal(signal.SIGTERM)
        assert pseudo.until_ended() == 0
        assert pseudo.restored


def test_a_program_that_fails_restores_the_terminal() -> None:
    code = (
        "import sys, termios, time\n"
        "from torrentnet.console.commands import Commands\n"
        "from torrentnet.console.terminal.terminal import Terminal\n"
        "Terminal(Commands('demo'), sys.stdin, sys.stdout).start()\n"
        "while termios.tcgetattr(0)[3] & termios.ICANON: time.sleep(0.001)\n"
        "raise RuntimeError('on purpose')"
    )
    with Pseudo("-c", code) as pseudo:
        assert pseudo.until_ended() == 1
        assert pseudo.screen.lines[-2:] == ["RuntimeError: on purpose", ""]
        assert pseudo.restored


def test_the_prompt_is_removed_before_a_traceback() -> None:
    # The traceback is written slowly: nothing may be drawn between two pieces of a line.
    code = (
        "import sys, termios, time\n"
        "from torrentnet.console.commands import Commands\n"
        "from torrentnet.console.terminal.terminal import Terminal\n"
        "def slow(kind, error, at):\n"
        "    sys.stderr.write('half a line, ')\n"
        "    terminal.write_line('an event')\n"
        "    sys.stderr.write('the other half\\n')\n"
        "sys.excepthook = slow\n"
        "terminal = Terminal(Commands('demo'), sys.stdin, sys.stdout)\n"
        "terminal.start()\n"
        "while termios.tcgetattr(0)[3] & termios.ICANON: time.sleep(0.001)\n"
        "terminal.write_line('the last event')\n"
        "raise RuntimeError('on purpose')"
    )
    with Pseudo("-c", code) as pseudo:
        assert pseudo.until_ended() == 1
        assert pseudo.screen.lines[:2] == ["the last event", "half a line, an event"]
        assert pseudo.restored


def test_ctrl_s_does_not_block_the_program(ticks: tuple[str, IO[str]]) -> None:
    path, fifo = ticks
    with started("--ticks", path) as pseudo:
        pseudo.type("\x13")
        for number in range(2000):
            print(f"n{number} {'x' * 200}", file=fifo)
        # The FIFO holds 64 KiB: all of this could be written only because the demo keeps reading.
        pseudo.type("\x11")
        pseudo.until_shown('text="n1999 ')
        pseudo.type("quit\r")
        assert pseudo.until_ended() == 0


def test_ctrl_s_does_not_delay_the_end(ticks: tuple[str, IO[str]]) -> None:
    path, fifo = ticks
    with started("--ticks", path, "--handlers") as pseudo:
        pseudo.type("\x13")
        for number in range(100):
            print(f"n{number}", file=fifo)
        pseudo.process.send_signal(signal.SIGTERM)
        assert pseudo.until_ended() == 0
        assert pseudo.restored


def test_a_dumb_terminal_gets_plain_lines() -> None:
    with Pseudo(DEMO, environ={"TERM": "dumb"}) as pseudo:
        pseudo.until_shown("listening")
        pseudo.type("file_logs 'my file.txt'\n")
        pseudo.until_shown("about my file.txt")
        assert "\x1b" not in pseudo.raw
        assert pseudo.mode() & termios.ICANON
        pseudo.type("\x04")
        assert pseudo.until_ended() == 0


def test_suspended_and_continued() -> None:
    with Pseudo(DEMO, job=True) as pseudo:
        pseudo.order("fg")
        pseudo.until_line(PROMPT)
        pseudo.type("half")
        pseudo.until_line(f"{PROMPT} half")
        pseudo.type("\x1a")
        assert pseudo.wait() == f"stopped {signal.SIGTSTP:d}"
        assert pseudo.restored
        pseudo.order("bg")
        pseudo.order("fg")
        pseudo.order(f"signal {signal.SIGCONT:d}")
        pseudo.until(lambda: not pseudo.mode() & termios.ICANON, "key mode again")
        pseudo.type(" a")
        pseudo.until_line(f"{PROMPT} half a")
        pseudo.type("\x03")
        assert pseudo.wait() == "ended 0"
        assert pseudo.restored


def test_key_mode_is_set_again_after_a_stop_from_outside() -> None:
    with Pseudo(DEMO, job=True) as pseudo:
        pseudo.order("fg")
        pseudo.until_line(PROMPT)
        pseudo.type("half")
        pseudo.until_line(f"{PROMPT} half")
        pseudo.order(f"signal {signal.SIGSTOP:d}")
        assert pseudo.wait() == f"stopped {signal.SIGSTOP:d}"
        termios.tcsetattr(pseudo.slave, termios.TCSANOW, pseudo.before)
        pseudo.order(f"signal {signal.SIGCONT:d}")
        pseudo.until(lambda: not pseudo.mode() & termios.ICANON, "key mode again")
        pseudo.type(" a")
        pseudo.until_line(f"{PROMPT} half a")


def test_in_the_background_the_terminal_is_left_alone(ticks: tuple[str, IO[str]]) -> None:
    path, fifo = ticks
    with Pseudo(DEMO, "--ticks", path, job=True) as pseudo:
        pseudo.order("fg")
        pseudo.until_line(PROMPT)
        pseudo.type("\x1a")
        assert pseudo.wait() == f"stopped {signal.SIGTSTP:d}"
        pseudo.order("bg")
        pseudo.order(f"signal {signal.SIGCONT:d}")
        print("behind", file=fifo)
        pseudo.until_shown("tick text=behind")
        assert pseudo.restored
        assert pseudo.screen.line == ""
        pseudo.order("fg")
        pseudo.until_line(PROMPT)
        pseudo.type("quit\r")
        assert pseudo.wait() == "ended 0"


@pytest.mark.parametrize("tostop", [False, True])
def test_started_in_the_background(ticks: tuple[str, IO[str]], tostop: bool) -> None:
    path, fifo = ticks
    with Pseudo(DEMO, "--ticks", path, job=True) as pseudo:
        if tostop:
            before = termios.tcgetattr(pseudo.slave)
            before[3] |= termios.TOSTOP
            termios.tcsetattr(pseudo.slave, termios.TCSANOW, before)
            pseudo.before = termios.tcgetattr(pseudo.slave)
        pseudo.type("for the shell\n")
        for number in range(3):
            print(f"n{number}", file=fifo)
            pseudo.until_shown(f"tick text=n{number}")
        assert pseudo.restored
        assert not any(line.startswith(PROMPT) for line in pseudo.screen.lines)
        # The program has read nothing that was typed for the foreground.
        assert os.read(pseudo.slave, 100) == b"for the shell\n"
        pseudo.order("fg")
        pseudo.until_line(PROMPT)
        pseudo.type("request logs\r")
        pseudo.until_shown("nothing was asked")
        pseudo.order(f"signal {signal.SIGTERM:d}")
        assert pseudo.wait() == "ended 0"
        assert pseudo.restored


def test_a_hung_up_terminal_does_not_end_the_program(tmp_path: Path) -> None:
    # A program that ignores SIGHUP outlives its terminal; then its console ends it.
    console = tmp_path / "c"
    code = (
        "import signal, sys, runpy; signal.signal(signal.SIGHUP, signal.SIG_IGN);"
        f" sys.stderr = open({str(tmp_path / 'err')!r}, 'w'); sys.argv = ['demo', '--console', {str(console)!r}];"
        f" runpy.run_path({DEMO!r}, run_name='__main__')"
    )
    with Pseudo("-c", code) as pseudo:
        pseudo.until_line(PROMPT)
        # Closing the master, the last descriptor, is the hang-up.
        os.close(pseudo.slave)
        os.close(pseudo.master)
        pseudo.master, pseudo.slave = os.pipe()
        asked = subprocess.run(
            [sys.executable, "-m", "torrentnet.console", "--socket", str(console), "emit", "3"],
            check=False,
            timeout=DEADLINE_S,
        )
        assert asked.returncode == 0
        pseudo.process.send_signal(signal.SIGTERM)
        assert pseudo.process.wait(DEADLINE_S) == 0
    assert (tmp_path / "err").read_text() == ""


@contextmanager
def piped(*options: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, DEMO, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, "TERM": "xterm"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def say(process: subprocess.Popen[bytes], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text.encode())


def line_of(process: subprocess.Popen[bytes]) -> str:
    """Return the next line of output; read no further, so that select() sees the rest."""
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], DEADLINE_S)[0], "no line"
    return process.stdout.readline().decode().rstrip("\n")


def end(process: subprocess.Popen[bytes]) -> tuple[str, str]:
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    return out.decode(), err.decode()


def test_commands_from_a_pipe() -> None:
    with piped() as process:
        assert " listening " in line_of(process)
        say(process, "file_logs 'my file.txt'\nfile_logs nope\n")
        assert line_of(process) == "about my file.txt"
        assert line_of(process) == 'error: no file named "nope" was ever published'
        say(process, "request logs")
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
        assert line_of(process) == "nothing was asked"
        # The end of the input was not the end of the program.
        out, err = end(process)
        event = parse_event(out.strip())
        assert event is not None
        assert event.name == "closing"
        assert err == ""


def test_commands_after_quit_are_not_executed() -> None:
    with piped() as process:
        out, err = process.communicate(b"emit 2\nquit\n" + b"request logs\n" * 2, timeout=DEADLINE_S)
        assert process.returncode == 0
        assert [parsed.name for line in out.decode().splitlines() if (parsed := parse_event(line))] == [
            "listening", "emitted", "emitted", "closing"
        ]  # fmt: skip
        assert err == b""


def test_a_line_that_is_too_long_is_refused() -> None:
    with piped() as process:
        line_of(process)
        say(process, "x" * 5000 + "\nrequest logs\n")
        assert line_of(process) == "error: the line is too long: at most 4096 bytes are allowed"
        assert line_of(process) == "nothing was asked"
        end(process)


@pytest.mark.parametrize("stdin", ["/dev/null", "closed"])
def test_without_input(ticks: tuple[str, IO[str]], stdin: str) -> None:
    path, fifo = ticks
    shell = "<&-" if stdin == "closed" else "</dev/null"
    with subprocess.Popen(
        ["/bin/sh", "-c", f'exec "$@" {shell}', "sh", sys.executable, DEMO, "--ticks", path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as process:
        try:
            assert " listening " in line_of(process)
            print("one", file=fifo)
            assert line_of(process).endswith(" tick text=one")
            out, err = end(process)
            assert " closing " in out
            assert err == ""
        finally:
            process.kill()


def test_a_program_outlives_the_reader_of_its_output(ticks: tuple[str, IO[str]], tmp_path: Path) -> None:
    path, fifo = ticks
    console = str(tmp_path / "c")
    with piped("--ticks", path, "--console", console) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line_of(process)
        process.stdout.close()
        for number in range(100):
            print(f"n{number}", file=fifo)
        say(process, "request logs\n")
        asked = subprocess.run(
            [sys.executable, "-m", "torrentnet.console", "--socket", console, "request", "logs"],
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_S,
        )
        assert (asked.returncode, asked.stdout) == (0, "nothing was asked\n")
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
        assert process.stderr.read() == b""


def test_a_reader_that_stops_does_not_block_the_program(tmp_path: Path) -> None:
    console = str(tmp_path / "c")
    with piped("--console", console) as process:
        line_of(process)
        # More than a pipe and the output queue hold.
        asked = subprocess.run(
            [sys.executable, "-m", "torrentnet.console", "--socket", console, "emit", "50000"],
            check=False,
            timeout=DEADLINE_S,
        )
        assert asked.returncode == 0
        assert process.stdout is not None
        seen = 0
        while not (line := line_of(process)).startswith("(lines missing here: "):
            seen += 1
        assert int(line.split(": ")[1].split(";")[0]) + seen == 50_000
        end(process)


def test_an_address_in_use_is_one_line(tmp_path: Path) -> None:
    console = str(tmp_path / "c")
    with piped("--console", console) as first:
        line_of(first)
        with piped("--console", console) as second:
            _, err = second.communicate(timeout=DEADLINE_S)
            assert second.returncode == 1
        assert err.decode() == (
            f"error: the console's socket is in use: another program answers at {console};"
            " stop it, or choose another path\n"
        )
        end(first)
