"""A terminal device: its mode, its width, and whether this process may use it now.

Tested by tests/loopback/test_console_terminal.py.
"""

from __future__ import annotations

import contextlib
import os
import termios
from typing import Final

from torrentnet.runtime.signals import block_sigttou

DEFAULT_WIDTH: Final = 80

_Attributes = list[int | list[bytes | int]]
_LFLAG: Final = 3
_CC: Final = 6


class Tty:
    """The mode of the terminal at one file descriptor.

    In key mode, keys arrive one by one and are not echoed. Ctrl-C, Ctrl-Z and the line ends of output keep working
    (termios(3): ICANON, ECHO and IEXTEN off; ISIG and OPOST kept; NOFLSH on).
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._before: _Attributes | None = None
        self._keys: _Attributes | None = None

    def foreground(self) -> bool:
        """Return whether the process is in the terminal's foreground group.

        Return True also for a process that is not under job control.
        """
        try:
            return os.tcgetpgrp(self.fd) == os.getpgrp()
        except OSError:
            # ENOTTY: not our controlling terminal, so job control does not apply.
            return True

    def enter_keys(self) -> bool:
        """Switch to key mode, until :meth:`leave`; return False when the terminal is gone."""
        try:
            found = termios.tcgetattr(self.fd)
            if found != self._keys:
                self._before = found
            keys: _Attributes = termios.tcgetattr(self.fd)
            local = keys[_LFLAG]
            assert isinstance(local, int)
            # Without NOFLSH the kernel discards output on Ctrl-C after it sent the signal, so also a quick reply to it.
            keys[_LFLAG] = local & ~(termios.ICANON | termios.ECHO | termios.IEXTEN) | termios.NOFLSH
            characters = keys[_CC]
            assert isinstance(characters, list)
            characters[termios.VMIN] = 1
            characters[termios.VTIME] = 0
            # Not TCSADRAIN: that waits forever for a terminal that was stopped with Ctrl-S.
            termios.tcsetattr(self.fd, termios.TCSANOW, keys)
            self._keys = termios.tcgetattr(self.fd)
        except termios.error:
            return False
        return True

    def leave(self) -> None:
        """Restore the earlier mode, unless the process is in the background."""
        if self._before is not None and self.foreground():
            # If the process is in the background by now, an error is better than being stopped.
            with contextlib.suppress(termios.error), block_sigttou():
                termios.tcsetattr(self.fd, termios.TCSANOW, self._before)


def terminal_width(fd: int) -> int:
    """Return the columns of the terminal at *fd*; 80 if it does not know."""
    try:
        return os.get_terminal_size(fd).columns or DEFAULT_WIDTH
    except OSError:
        return DEFAULT_WIDTH
