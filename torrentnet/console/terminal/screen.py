"""What is drawn on a terminal: lines, and below them the prompt with the line that is being typed.

One thread draws; signal handlers, in the main thread, may take the screen away from it and give it back.

Tested by tests/unit/console/terminal/test_terminal.py.
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
"""How long Ctrl-Z waits for a write that does not end, before it stops the process all the same."""
WIPE: Final = "\r\x1b[K"


class Screen:
    """The terminal *tty* in key mode, with *editor*'s line on it, written to by *output*.

    The prompt is there between :meth:`attach` and :meth:`detach`, which also take and give back the terminal's mode.
    """

    def __init__(self, output: OutputStream, tty: Tty, editor: LineEditor) -> None:
        """Touches nothing yet."""
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
        """Columns, when it was drawn last."""
        return self._editor.width

    # The terminal

    def foreground(self) -> bool:
        """Whether the process is in the terminal's foreground."""
        return self._tty.foreground()

    def may_read(self) -> bool:
        """Whether the process may read from the terminal."""
        return self._tty.foreground() and not self._suspended

    def attach(self) -> bool | None:
        """Takes the terminal where the process may, and says whether it may; None where the terminal is gone."""
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
        """Wipes the prompt, and gives the terminal back in the mode that was found."""
        if self._lock.acquire(timeout=DETACH_TIMEOUT):
            try:
                if self._attached:
                    self._output.write(WIPE)
                self._attached = False
            finally:
                self._lock.release()
        # Also when a write that does not end holds the screen: the shell needs its mode back.
        self._tty.leave()

    def suspend(self) -> None:
        """The process is about to stop."""
        self._suspended = True
        self.detach()

    def resume(self) -> None:
        """The process goes on after :meth:`suspend`."""
        self._suspended = False
        self.changed(continued=True)

    def changed(self, *, continued: bool) -> None:
        """The window has another size, or the process goes on: whatever was drawn may be gone."""
        self._continued = self._continued or continued
        self._dirty = True

    # The line

    def feed(self, data: bytes) -> list[EditorAction]:
        """What typed bytes make of the line, and what else is to be done for them."""
        with self._lock:
            return self._editor.feed(data)

    def discard(self) -> bool:
        """Empties the line; False when it is empty already."""
        with self._lock:
            if not self._editor.text:
                return False
            self._editor.clear()
        return True

    def submitted(self, line: str) -> None:
        """A line was entered: it stays, and what follows comes below it."""
        with self._lock:
            self._output.write(f"{WIPE}{self._editor.prompt}{line}\n")
            self._dirty = True

    def redraw(self) -> None:
        """The line is not as it was drawn."""
        self._dirty = True

    def draw(self) -> None:
        """Draws the prompt again where something about it has changed."""
        with self._lock:
            if self._attached and self._dirty:
                self._output.write(self._rendered())

    def _rendered(self) -> str:
        self._dirty = False
        if self._output.fd is not None:
            self._editor.width = terminal_width(self._output.fd)
        return self._editor.render()

    # Everything else

    def show(self, lines: list[str]) -> None:
        """Writes lines, above the prompt where there is one."""
        text = "\n".join(map(escape_controls, lines)) + "\n"
        with self._lock:
            self._output.write(WIPE + text + self._rendered() if self._attached else text)

    def write(self, text: str) -> None:
        """Writes text where the cursor is."""
        with self._lock:
            self._output.write(text)

    def clear(self) -> None:
        """Wipes all of it."""
        self._output.write("\x1b[H\x1b[2J")
        self._dirty = True
