"""What every thread of the console does first."""

from __future__ import annotations

import signal


def block_signals() -> None:
    """Leaves every signal to the main thread, where Python's handlers run.

    With SIGTTIN and SIGTTOU blocked, a thread in a background process group that touches the terminal gets an error
    (EIO) where it would have stopped the whole program (termios(3), "Controlling terminal and job control").
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
