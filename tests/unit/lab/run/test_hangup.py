"""A lab hears of the end of its terminal, its parent and its session."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys

import pytest

WATCH = """
import signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_IGN if sys.argv[1:] == ["nohup"] else lambda *_: sys.exit(7))
from torrentnet.lab.run.hangup import hangup_watch
with hangup_watch():
    try:
        print("watching", flush=True)
        time.sleep(3 if sys.argv[1:] == ["nohup"] else 60)
    finally:
        print("hung up" if sys.exc_info()[0] else "over", flush=True)
"""
STARTER = """
import subprocess, sys
subprocess.run([sys.executable, *sys.argv[1:]])
"""
WAIT = 30.0


def start(*argv: str, starter: bool = True) -> tuple[subprocess.Popen[str], str]:
    """Start the watcher as the child of a process that ignores signals as make does."""
    own = [sys.executable, "-c", STARTER, "-c", WATCH, *argv] if starter else [sys.executable, "-c", WATCH, *argv]
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
    reading, writing = os.pipe()
    pid, master = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            os.dup2(writing, 1)
            os.execv(sys.executable, [sys.executable, "-c", WATCH])
        os.waitpid(child, 0)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        assert stream.readline() == "watching\n"
        os.close(master)
        assert select.select([stream], [], [], WAIT)[0]
        assert stream.readline() == "hung up\n"
    os.waitpid(pid, 0)
