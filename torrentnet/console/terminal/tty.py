"""A terminal device: its mode, its width, and whether this process may touch it now.

Tested by tests/unit/console/terminal/test_terminal.py, tests/loopback/test_console_terminal.py.
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

    In key mode, keys arrive one by one and are not echoed, but Ctrl-C, Ctrl-Z and the end-of-line handling of output
    stay as they are (termios(3): ICANON, ECHO and IEXTEN off; ISIG and OPOST kept).
    """

    def __init__(self, fd: int) -> None:
        """Does not touch the terminal."""
        self.fd = fd
        self._before: _Attributes | None = None
        self._keys: _Attributes | None = None

    def foreground(self) -> bool:
        """Whether the process is in the terminal's foreground group, or no job control concerns it."""
        try:
            return os.tcgetpgrp(self.fd) == os.getpgrp()
        except OSError:
            # ENOTTY: not our controlling terminal, so nobody else shares it under job control.
            return True

    def enter_keys(self) -> bool:
        """Switches to key mode; False when the terminal is gone. The mode found is what :meth:`leave` restores."""
        try:
            found = termios.tcgetattr(self.fd)
            if found != self._keys:
                self._before = found
            keys: _Attributes = termios.tcgetattr(self.fd)
            local = keys[_LFLAG]
            assert isinstance(local, int)
            keys[_LFLAG] = local & ~(termios.ICANON | termios.ECHO | termios.IEXTEN)
            characters = keys[_CC]
            assert isinstance(characters, list)
            characters[termios.VMIN] = 1
            characters[termios.VTIME] = 0
            # Not TCSADRAIN: that waits without end for a terminal that was stopped with Ctrl-S.
            termios.tcsetattr(self.fd, termios.TCSANOW, keys)
            self._keys = termios.tcgetattr(self.fd)
        except termios.error:
            return False
        return True

    def leave(self) -> None:
        """Back to the mode that was found, unless the terminal is not ours to touch now."""
        if self._before is not None and self.foreground():
            # In the background after all, by now: an error is better than to be stopped.
            with contextlib.suppress(termios.error), block_sigttou():
                termios.tcsetattr(self.fd, termios.TCSANOW, self._before)


def terminal_width(fd: int) -> int:
    """Columns of the terminal at *fd*; 80 where it does not know."""
    try:
        return os.get_terminal_size(fd).columns or DEFAULT_WIDTH
    except OSError:
        return DEFAULT_WIDTH
