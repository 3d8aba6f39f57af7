"""Commands that the lab runs on the host, none of which outlives the lab."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

LINES_KEPT: Final = 40
"""Last lines of a command's output, for the message when it fails."""
LINE_LIMIT: Final = 10_000
TERM_GRACE: Final = 10.0


@dataclass(frozen=True, slots=True)
class ChildResult:
    """Exit status and output of a command."""

    status: int
    stdout: str
    tail: tuple[str, ...]
    """The last lines of both outputs."""
    timed_out: bool = False
    """Whether the command was ended because its time was up."""


def run_child(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] = lambda _: None,
    keep_stdout: bool = False,
    timeout: float | None = None,
) -> ChildResult:
    """Run a command to its end and pass each line to ``on_line`` as it arrives.

    The command gets a session of its own: Ctrl-C at the terminal reaches the lab only, which then ends the command
    and everything that it started before the exception propagates. If the lab itself is killed, the kernel ends the
    command (where the machine has setpriv). ``keep_stdout`` keeps standard output separate and whole; else both
    outputs are one stream. After ``timeout`` seconds the command is ended. Raises EngineError where the command cannot
    be started.
    """
    guard = [] if shutil.which("setpriv") is None else ["setpriv", "--pdeathsig", "TERM"]
    try:
        process = subprocess.Popen(
            [*guard, *argv],
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if keep_stdout else subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise EngineError(f"{argv[0]} cannot be run: {error.strerror}") from error
    tail: deque[str] = deque(maxlen=LINES_KEPT)
    stream = process.stderr if keep_stdout else process.stdout
    # Leaving the outer block waits for the command, so it must have been ended before.
    with process, _deadline(process, timeout) as late:
        try:
            assert stream is not None
            while line := stream.readline(LINE_LIMIT):
                tail.append(line.rstrip("\n"))
                on_line(tail[-1])
            # Standard output is short by contract (a name), so it fits in the pipe until the other stream has ended.
            stdout = process.stdout.read() if keep_stdout and process.stdout else ""
            status = process.wait()
        except BaseException:
            terminate_group(process)
            raise
    return ChildResult(status, stdout, tuple(tail), late.is_set())


@contextlib.contextmanager
def _deadline(process: subprocess.Popen[str], timeout: float | None) -> Iterator[threading.Event]:
    """Terminate a command after so many seconds; yields the event that says so."""
    late = threading.Event()
    if timeout is None:
        yield late
        return

    def end() -> None:
        late.set()
        terminate_group(process)

    timer = threading.Timer(timeout, end)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def terminate_group(process: subprocess.Popen[str]) -> None:
    """Terminate a command and every process that it started.

    SIGTERM first, so that they can clean up; SIGKILL after a grace period.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(TERM_GRACE)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def command_output(*argv: str, timeout: float = 20.0) -> str:
    """Return a short command's output, without surrounding white space.

    The result is empty where the command fails or is not installed.
    """
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
