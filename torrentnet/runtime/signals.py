"""Which thread gets which signal.

Tested by tests/loopback/test_console_terminal.py.
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def block_signals() -> None:
    """Leaves every signal to the main thread, where Python's handlers run.

    With SIGTTIN and SIGTTOU blocked, a thread in a background process group that touches the terminal gets an error
    (EIO) where it would have stopped the whole program (termios(3), "Controlling terminal and job control").
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


@contextmanager
def block_sigttou() -> Iterator[None]:
    """For a write to the terminal, or a change of its mode, that must not stop a process in the background.

    With ``stty tostop`` even a line of output would stop it, and a node that stands still is soon forgotten by the
    others.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
