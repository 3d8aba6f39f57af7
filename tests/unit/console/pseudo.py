"""A pseudo-terminal for a program under test.

It has a screen and the job control of a small shell.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING

from tests.unit.console.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEADLINE_S = 20.0

# A session leader whose controlling terminal is the pty. With "front" it becomes the program; with "job" it acts as a
# shell: the program is a job in a process group of its own, it reads orders from one pipe and writes news to another.
LEADER = r"""
import fcntl, os, signal, subprocess, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
if sys.argv[1] == "front":
    os.execv(sys.argv[4], sys.argv[4:])
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
orders, news = os.fdopen(int(sys.argv[2])), os.fdopen(int(sys.argv[3]), "w", buffering=1)
job = subprocess.Popen(
    sys.argv[4:], process_group=0, preexec_fn=lambda: signal.signal(signal.SIGTTOU, signal.SIG_DFL)
)
print("job", job.pid, file=news)
for order in orders:
    match order.split():
        case ["fg"]:
            os.tcsetpgrp(0, job.pid)
        case ["bg"]:
            os.tcsetpgrp(0, os.getpgrp())
        case ["signal", number]:
            os.killpg(job.pid, int(number))
        case ["wait"]:
            _, status = os.waitpid(job.pid, os.WUNTRACED)
            if os.WIFSTOPPED(status):
                print("stopped", os.WSTOPSIG(status), file=news)
            else:
                print("ended", os.waitstatus_to_exitcode(status), file=news)
"""


class Pseudo:
    """A program on a pty; *job* starts it in the background of a small shell."""

    def __init__(
        self, *command: str, environ: Mapping[str, str] | None = None, width: int = 80, job: bool = False
    ) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(width, notify=False)
        self.screen = Screen(width)
        self.raw = ""
        self._undecoded = b""
        self.before = termios.tcgetattr(self.slave)
        orders_read, self._orders = os.pipe()
        self._news, news_write = os.pipe()
        mode = "job" if job else "front"
        self.process = subprocess.Popen(
            [sys.executable, "-c", LEADER, mode, str(orders_read), str(news_write), sys.executable, *command],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            pass_fds=(orders_read, news_write),
            env={**os.environ, "TERM": "xterm", "PYTHONWARNINGS": "", **(environ or {})},
        )
        os.close(orders_read)
        os.close(news_write)
        self.job = int(self.news().split()[1]) if job else self.process.pid

    def __enter__(self) -> Pseudo:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            # Closing the orders ends the small shell; its job is in a group of its own.
            if self.job != self.process.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.job, signal.SIGKILL)
            self.process.kill()
        self.process.wait(DEADLINE_S)
        for fd in (self.master, self.slave, self._orders, self._news):
            os.close(fd)

    def type(self, text: str | bytes) -> None:
        """Type text, as if on the keyboard."""
        os.write(self.master, text.encode() if isinstance(text, str) else text)

    def order(self, order: str) -> None:
        """Send an order to the small shell."""
        os.write(self._orders, order.encode() + b"\n")

    def news(self) -> str:
        """Return the next line from the small shell."""
        line = b""
        while not line.endswith(b"\n"):
            assert select.select([self._news], [], [], DEADLINE_S)[0], f"the shell has written nothing: {self.raw!r}"
            data = os.read(self._news, 1)
            assert data, f"the shell is gone: {self.raw!r}"
            line += data
        return line.decode().strip()

    def wait(self) -> str:
        """Wait until the job stops or ends; return ``stopped N`` or ``ended N``."""
        self.order("wait")
        return self.news()

    def resize(self, width: int, *, notify: bool = True) -> None:
        """Set the width; the kernel sends SIGWINCH to the foreground process."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        if notify:
            self.screen.width = width

    def mode(self) -> int:
        """Return the terminal's local modes."""
        local = termios.tcgetattr(self.slave)[3]
        assert isinstance(local, int)
        return local

    @property
    def restored(self) -> bool:
        """Whether the terminal is as it was before the program."""
        return termios.tcgetattr(self.slave) == self.before

    def until(self, seen: Callable[[], bool], what: str) -> None:
        """Read the program's output until *seen* returns true.

        The test fails with the screen at the deadline.
        """
        deadline = time.monotonic() + DEADLINE_S
        while not seen():
            ready, _, _ = select.select([self.master], [], [], 0.02)
            if ready:
                self._take(os.read(self.master, 65536))
            assert time.monotonic() < deadline, f"never seen: {what}\n{self.screen.lines}\n{self.raw[-500:]!r}"

    def until_line(self, text: str) -> None:
        """Wait until the cursor's row is exactly *text*."""
        self.until(lambda: self.screen.line == text, f"the line {text!r}")

    def until_shown(self, text: str, times: int = 1) -> None:
        """Wait until at least *times* rows contain *text*."""
        self.until(lambda: sum(text in line for line in self.screen.lines) >= times, text)

    def until_said(self, text: str) -> None:
        """Wait until the screen contains *text*, wherever its lines were wrapped."""
        self.until(lambda: text in " ".join(line.strip() for line in self.screen.lines[-40:]), text)

    def until_ended(self) -> int:
        """Wait until the foreground program ends; return its exit status."""
        self.until(lambda: self.process.poll() is not None, "the end")
        while select.select([self.master], [], [], 0)[0]:
            self._take(os.read(self.master, 65536))
        return self.process.returncode

    def _take(self, data: bytes) -> None:
        # A read may cut an escape sequence or a character; the incomplete rest is kept for the next read.
        data = self._undecoded + data
        cut = len(data)
        escape = data.rfind(b"\x1b")
        if escape >= 0 and not any(chr(code).isalpha() for code in data[escape + 2 :]):
            cut = escape
        # An incomplete character has at most three bytes.
        while cut > 0 and data[cut - 1] >= 0x80 and not _is_whole(data[:cut]):
            cut -= 1
        text = data[:cut].decode()
        self._undecoded = data[cut:]
        self.raw += text
        self.screen.feed(text)


def _is_whole(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
