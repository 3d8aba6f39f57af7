"""Run a shell command as its terminal, and see that nothing outlives it.

Usage: ``python -m tests.torture.warden pty|pipe SCRIPT PID_FILE OUTPUT``. Lines on standard input: ``close`` hangs up
the terminal, ``interrupt`` types Ctrl-C, ``kill`` kills the leader of the session, ``keep`` lets what is left live.
Every descendant that loses its parent becomes the warden's child. At the end the warden prints one JSON document: the
exit statuses by process id, and the command lines of what was left (and is killed, unless it is kept).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pty
import select
import signal
import sys
import time
from pathlib import Path
from typing import Final

PR_SET_CHILD_SUBREAPER: Final = 36
GRACE: Final = 30.0
"""After the end of the command, for what it has left."""


def descendants(pid: int) -> list[int]:
    """Return all processes below one, zombies excepted."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                with contextlib.suppress(OSError):
                    if Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                        found += [child, *descendants(child)]
    return found


def command_line(pid: int) -> str:
    """Return a process's command line; empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


class Warden:
    """The shell, its terminal or pipe, and all of their descendants."""

    def __init__(self, kind: str, script: str, pid_file: str, output: str) -> None:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._pid_file = Path(pid_file)
        self._output = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._statuses: dict[int, int] = {}
        self._keep = False
        reading = writing = -1
        if kind == "pty":
            self._shell, self._terminal = pty.fork()
        else:
            reading, writing = os.pipe()
            self._shell, self._terminal = os.fork(), reading
        if self._shell == 0:
            # The matrix itself may run below nohup.
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            if kind == "pipe":
                os.setsid()
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(writing, 1)
                os.dup2(writing, 2)
                os.closerange(3, 100)
            os.execv("/bin/bash", ["bash", "-c", script])
        if writing >= 0:
            os.close(writing)

    def run(self) -> None:
        """Serve until all is over, and print the result."""
        over = 0.0
        orders = sys.stdin.fileno()
        watched = [orders]
        while not over or (descendants(os.getpid()) and not self._keep and time.monotonic() < over + GRACE):
            ready, _, _ = select.select([*watched, *([self._terminal] if self._terminal >= 0 else [])], [], [], 0.05)
            if self._terminal in ready:
                self._copy()
            if orders in ready:
                text = os.read(orders, 1000).decode()
                if not text:
                    watched.remove(orders)
                for order in text.split():
                    self._obey(order)
            self._reap()
            if not over and self._shell in self._statuses and self._lab_has_ended():
                over = time.monotonic()
        left = descendants(os.getpid())
        lines = [line for pid in left if (line := command_line(pid))]
        if not self._keep:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        print(json.dumps({"shell": self._shell, "statuses": self._statuses, "left": lines}))

    def _lab_has_ended(self) -> bool:
        try:
            lab = int(self._pid_file.read_text())
        except (OSError, ValueError):
            return True
        return lab not in descendants(os.getpid())

    def _copy(self) -> None:
        try:
            data = os.read(self._terminal, 65536)
        except OSError:
            data = b""
        if data:
            os.write(self._output, data)
        else:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1

    def _obey(self, order: str) -> None:
        match order:
            case "close":
                self._hang_up()
            case "interrupt":
                os.write(self._terminal, b"\x03")
            case "kill":
                os.kill(self._shell, signal.SIGKILL)
            case "keep":
                self._keep = True

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                self._statuses[pid] = os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    Warden(*sys.argv[1:]).run()
