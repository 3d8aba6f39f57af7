"""A lab hears of the end of its terminal, its parent and its session."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

WATCH = """
import signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_IGN if sys.argv[1:] == ["nohup"] else lambda *_: sys.exit(7))
from torrentnet.lab.run.hangup import hangup_watch
with hangup_watch():
    try:
        # The signal may come as soon as this line is read.
        # The signal may come as soon as this line is read.
        print("watching", flush=True)
        time.sleep(3 if sys.argv[1:] == ["nohup"] else 60)
    finally:
        print("hung up" if sys.exc_info()[0] else "over", flush=True)
"""
STARTER = """
import subprocess, sys
subprocess.run([sys.executable, *sys.argv[1:]])
"""
LEADER = f"""
import fcntl, signal, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
{STARTER}"""


def start(*argv: str) -> tuple[subprocess.Popen[str], str]:
    """Start the watcher as the child of a process that ignores signals as make does."""
    own = [sys.executable, "-c", STARTER, "-c", WATCH, *argv]
    process = subprocess.Popen(own, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    return process, process.stdout.readline()


@pytest.mark.parametrize(("argv", "last"), [((), "hung up\n"), (("nohup",), "over\n")])
def test_the_end_of_the_parent_is_noticed(argv: tuple[str, ...], last: str) -> None:
    process, first = start(*argv)
    with process:
        assert first == "watching\n"
        process.kill()
        assert process.stdout is not None
        # The other end is the watcher's, too: its last line comes before the end of the stream.
        assert process.stdout.read() == last


def test_the_end_of_a_terminal_is_noticed_behind_a_leader_that_tells_nobody() -> None:
    # `make` as the leader of a session waits for its child, which the kernel does not tell of the hang-up.
    master, slave = os.openpty()
    own = [sys.executable, "-c", LEADER, "-c", WATCH]
    process = subprocess.Popen(own, stdin=slave, stdout=subprocess.PIPE, text=True, start_new_session=True)
    os.close(slave)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "watching\n"
        os.close(master)
        assert process.stdout.read() == "hung up\n"
