"""Keep signals to the main thread, and terminal output from stopping the process."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def block_signals() -> None:
    """Block every signal in this thread.

    Python's handlers then run in the main thread at once. With SIGTTIN and SIGTTOU blocked, a thread of a background
    process that uses the terminal gets an error (EIO), where it would have stopped the whole program (termios(3),
    "Controlling terminal and job control").
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


@contextmanager
def block_sigttou() -> Iterator[None]:
    """Block SIGTTOU, so that a background process may use the terminal.

    Use this for a write to the terminal, or a change of the terminal's mode. With ``stty tostop`` even a line of output
    would stop the process, and the tracker would forget the node.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
