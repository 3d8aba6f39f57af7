"""Screen of a terminal: lines, and below them the prompt.

The prompt is drawn with the line that is being typed. One thread draws; signal handlers, in the main thread, may
suspend and resume it.

Tested by tests/loopback/test_console_terminal.py.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from torrentnet.console.terminal.tty import terminal_width
from torrentnet.runtime.text import escape_controls

if TYPE_CHECKING:
    from torrentnet.console.terminal.editor import EditorAction, LineEditor
    from torrentnet.console.terminal.output import OutputStream
    from torrentnet.console.terminal.tty import Tty

DETACH_TIMEOUT: Final = 0.3
"""How long Ctrl-Z waits for a write that blocks, before it stops the process anyway."""
WIPE: Final = "\r\x1b[K"


class Screen:
    """The terminal *tty* in key mode, with *editor*'s line on it, drawn by *output*.

    The prompt is visible between :meth:`attach` and :meth:`detach`, which also set and restore the terminal's mode.
    """

    def __init__(self, output: OutputStream, tty: Tty, editor: LineEditor) -> None:
        self._output = output
        self._tty = tty
        self._editor = editor
        # Guards the terminal's mode and what is drawn on it. Re-entrant, because a signal handler takes it too.
        self._lock = threading.RLock()
        self._attached = False
        self._suspended = False
        self._continued = False
        self._dirty = False

    @property
    def width(self) -> int:
        """Columns of the terminal when it was drawn last."""
        return self._editor.width

    def foreground(self) -> bool:
        """Whether the process is in the terminal's foreground."""
        return self._tty.foreground()

    def may_read(self) -> bool:
        """Whether the process may read from the terminal."""
        return self._tty.foreground() and not self._suspended

    def attach(self) -> bool | None:
        """Use the terminal if the process may, and return whether it may.

        Return None when the terminal is gone.
        """
        with self._lock:
            foreground = self.may_read()
            changed, self._continued = self._continued, False
            if changed or not foreground:
                self._attached = False
            if foreground and not self._attached:
                if not self._tty.enter_keys():
                    return None
                self._attached = self._dirty = True
            return foreground

    def detach(self) -> None:
        """Wipe the prompt, and restore the terminal's mode."""
        if self._lock.acquire(timeout=DETACH_TIMEOUT):
            try:
                if self._attached:
                    self._output.write(WIPE)
                self._attached = False
            finally:
                self._lock.release()
        # Even if a write that blocks holds the lock: the shell needs its mode back.
        self._tty.leave()

    def suspend(self) -> None:
        """Detach, because the process is about to stop."""
        self._suspended = True
        self.detach()

    def resume(self) -> None:
        """Draw again, because the process continues after :meth:`suspend`."""
        self._suspended = False
        self.changed(continued=True)

    def changed(self, *, continued: bool) -> None:
        """Schedule drawing after a change of the terminal or of the process.

        The window's size has changed, or the process continues.
        """
        self._continued = self._continued or continued
        self._dirty = True

    def feed(self, data: bytes) -> list[EditorAction]:
        """Pass typed bytes to the editor and return its actions."""
        with self._lock:
            return self._editor.feed(data)

    def discard(self) -> bool:
        """Clear the line; return False when it is empty."""
        with self._lock:
            if not self._editor.text:
                return False
            self._editor.clear()
        return True

    def submitted(self, line: str) -> None:
        """Keep an entered line on the terminal, and continue below it."""
        with self._lock:
            self._output.write(f"{WIPE}{self._editor.prompt}{line}\n")
            self._dirty = True

    def redraw(self) -> None:
        """Mark the prompt to be drawn again."""
        self._dirty = True

    def draw(self) -> None:
        """Draw the prompt again, if something about it has changed."""
        with self._lock:
            if self._attached and self._dirty:
                self._output.write(self._rendered())

    def _rendered(self) -> str:
        self._dirty = False
        if self._output.fd is not None:
            self._editor.width = terminal_width(self._output.fd)
        return self._editor.render()

    def show(self, lines: list[str]) -> None:
        """Write lines, above the prompt if there is one."""
        text = "\n".join(map(escape_controls, lines)) + "\n"
        with self._lock:
            self._output.write(WIPE + text + self._rendered() if self._attached else text)

    def write(self, text: str) -> None:
        """Write text where the cursor is."""
        with self._lock:
            self._output.write(text)

    def clear(self) -> None:
        """Clear the whole terminal."""
        self._output.write("\x1b[H\x1b[2J")
        self._dirty = True
