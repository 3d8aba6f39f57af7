"""Command line of a program in its own terminal.

Event lines scroll, and the line being typed stays below them. One daemon thread reads standard input and writes
standard output. Everything else passes it lines through a queue, so that a terminal stopped with Ctrl-S, or a pipe that
nobody reads, never blocks the program.
"""

from __future__ import annotations

import atexit
import errno
import os
import select
import sys
import threading
from enum import Enum
from typing import TYPE_CHECKING, Final

from torrentnet.console.line_splitter import MAX_LINE_BYTES, LineSplitter
from torrentnet.console.table import in_columns
from torrentnet.console.terminal.editor import (
    Bell,
    ClearScreen,
    EditorAction,
    EndOfInput,
    Interrupt,
    LineEditor,
    Redraw,
    ShowCandidates,
    Submit,
)
from torrentnet.console.terminal.execution import LineExecution
from torrentnet.console.terminal.output import OutputQueue, OutputStream, Waker
from torrentnet.console.terminal.screen import Screen
from torrentnet.console.terminal.signals import TerminalSignals
from torrentnet.console.terminal.tty import Tty
from torrentnet.runtime.signals import block_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import TextIO

    from torrentnet.console.terminal.execution import TerminalCommands

READ_BYTES: Final = 4096
FOREGROUND_POLL_MS: Final = 500
"""How often a background process checks whether it is in the foreground now: no signal says so."""
STOP_TIMEOUT: Final = 0.5
"""How long :meth:`Terminal.stop` waits for a standard output that blocks."""
MANY_LINES: Final = 8
GATHER_INTERVAL: Final = 0.02
"""After so many lines at once, further lines are gathered for so long before they are written."""


class _Mode(Enum):
    SILENT = "no input at all"
    LINES = "whole lines, from a pipe or a plain terminal"
    KEYS = "keys, with a prompt"


class Terminal:
    """Own standard input and output from :meth:`start` to :meth:`stop`.

    - Both are a terminal: a prompt with editing, history and completion. ``quit``, Ctrl-D at an empty prompt and Ctrl-C
      call *on_quit*; Ctrl-Z suspends. With TERM unset or ``dumb``: plain lines, no escape sequence.
    - Input is a pipe or a file: each line is a command. The end of the input does not end the program.
    - Input is /dev/null, closed, or a terminal whose foreground is another process: nothing is read. In the last case
      reading begins when the process comes to the foreground.

    *on_quit* (by default, that of *commands*) is called from this terminal's thread or, for a signal, from the main
    thread; it must only ask the program to end. SIGINT and SIGTERM are handled only if the program has no handler of
    its own and :meth:`start` is called in the main thread. *prompt* is ``NAME> `` by default.
    """

    def __init__(
        self,
        commands: TerminalCommands,
        stdin: TextIO | None,
        stdout: TextIO,
        *,
        on_quit: Callable[[], None] | None = None,
        prompt: str | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._on_quit = on_quit or getattr(commands, "on_quit", None) or (lambda: None)
        self._in_fd = _descriptor(stdin)
        self._output = OutputStream(stdout)
        self._outbox = OutputQueue()
        self._mode = _mode(self._in_fd, self._output.fd, environ)
        self._screen: Screen | None = None
        """None unless the input is a terminal."""
        if self._in_fd is not None and os.isatty(self._in_fd):
            editor = LineEditor(commands.complete, prompt=f"{commands.name}> " if prompt is None else prompt)
            self._screen = Screen(self._output, Tty(self._in_fd), editor)
        self._splitter = LineSplitter()
        self._signals = TerminalSignals(
            suspend=self._suspend, resume=self._resume, changed=self._changed, quit_=self._on_quit
        )
        self._waker = Waker()
        self._stopping = threading.Event()
        self._running = False
        self._thread: threading.Thread | None = None
        self._execution = LineExecution(commands, self._write, self._stopping, self._output.columns)
        self._excepthook = sys.excepthook

    @property
    def lost(self) -> int:
        """Writes that failed, because standard output is gone."""
        return self._output.failed

    def start(self) -> None:
        """Begin to read and write, on a daemon thread.

        Call it in the main thread, so that Ctrl-Z is handled.
        """
        self._signals.install()
        atexit.register(self.stop)
        self._excepthook, sys.excepthook = sys.excepthook, self._failed
        self._running = True
        self._thread = threading.Thread(target=self._loop, name="terminal", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what is queued, and restore the terminal's mode and the signals.

        Any thread may call it, also twice.
        """
        self._stopping.set()
        self._output.closing.set()
        self._waker.wake()
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return
        thread.join(STOP_TIMEOUT)
        if not thread.is_alive():
            # A line that was added just as the thread ended is still in the queue.
            self._flush()
        self._detach()
        self._signals.remove()
        atexit.unregister(self.stop)
        if sys.excepthook == self._failed:
            sys.excepthook = self._excepthook

    def write_line(self, text: str) -> None:
        """Write one line, above the line that is being typed.

        Never blocks while the terminal runs. Any thread may call it. Raises OSError before :meth:`start` and after
        :meth:`stop`, when standard output is gone.
        """
        if self._running:
            if self._outbox.put(text):
                self._waker.wake()
        elif not self._output.write(text + "\n"):
            raise BrokenPipeError(errno.EPIPE, "standard output is gone")

    def write_lines(self, lines: Sequence[str]) -> None:
        """Write several lines, as :meth:`write_line` writes one."""
        if not self._running:
            for line in lines:
                self.write_line(line)
        elif self._outbox.put_all(lines):
            self._waker.wake()

    def discard_line(self) -> bool:
        """Clear the line being typed, and return False when it is empty.

        It is for a Ctrl-C that does not mean quit.
        """
        if self._screen is None or not self._screen.discard():
            return False
        self._changed(continued=False)
        return True

    def _failed(self, kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
        # The interpreter writes the traceback in several pieces, before atexit runs: a prompt drawn between two of
        # them would wipe part of it.
        self.stop()
        self._excepthook(kind, error, at)

    def _loop(self) -> None:
        block_signals()
        try:
            while not self._stopping.is_set():
                reading = self._sync()
                if self._flush() >= MANY_LINES:
                    # Lines come faster than they can be written one by one: the next ones are written together.
                    self._stopping.wait(GATHER_INTERVAL)
                if self._screen is not None:
                    self._screen.draw()
                if self._poll(reading=reading):
                    self._read()
        finally:
            # From here on lines are written where they are made; the queued ones come first.
            self._flush()
            self._detach()
            self._running = False
            self._flush()

    def _poll(self, *, reading: bool) -> bool:
        poller = select.poll()
        poller.register(self._waker.fd, select.POLLIN)
        if reading and self._in_fd is not None:
            poller.register(self._in_fd, select.POLLIN)
        waits_for_foreground = not reading and self._mode is not _Mode.SILENT
        ready = {fd for fd, _ in poller.poll(FOREGROUND_POLL_MS if waits_for_foreground else None)}
        self._waker.drain()
        return self._in_fd in ready

    def _sync(self) -> bool:
        """Set the terminal's mode to what the process may do now.

        Return whether the process may read.
        """
        if self._mode is _Mode.SILENT or self._screen is None:
            return self._mode is not _Mode.SILENT
        if self._mode is _Mode.LINES:
            return self._screen.may_read()
        may_read = self._screen.attach()
        if may_read is None:
            self._mode = _Mode.SILENT
        return bool(may_read)

    def _flush(self) -> int:
        """Write the queued lines and return their number."""
        lines = self._outbox.take()
        if lines:
            self._show(lines)
        return len(lines)

    def _show(self, lines: list[str]) -> None:
        """Write lines, above the prompt if there is one."""
        if self._screen is not None and self._mode is _Mode.KEYS:
            self._screen.show(lines)
        else:
            self._output.write("\n".join(lines) + "\n")

    def _write(self, text: str) -> None:
        if self._screen is not None:
            self._screen.write(text)
        else:
            self._output.write(text)

    def _read(self) -> None:
        assert self._in_fd is not None
        try:
            data = os.read(self._in_fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            # EIO in the background is the answer to a blocked SIGTTIN: wait for the foreground.
            if error.errno == errno.EIO and self._screen is not None and not self._screen.foreground():
                return
            # Any other error: nothing will ever come from there again.
            data = b""
        if self._screen is not None and self._mode is _Mode.KEYS:
            self._take_keys(self._screen, data)
        else:
            self._take_lines(data)

    def _take_keys(self, screen: Screen, data: bytes) -> None:
        if not data:
            # A hang-up; Ctrl-D comes as a byte. SIGHUP decides whether the program ends with its terminal.
            screen.detach()
            self._mode = _Mode.SILENT
            return
        for action in screen.feed(data):
            if self._stopping.is_set():
                return
            self._act(screen, action)

    def _act(self, screen: Screen, action: EditorAction) -> None:
        match action:
            case Submit(line):
                # Queued lines go above the entered line: below it, they would draw a new prompt.
                self._flush()
                screen.submitted(line)
                self._execution.execute(line)
            case Redraw():
                screen.redraw()
            case ShowCandidates(words):
                screen.show(in_columns(words, screen.width))
            case ClearScreen():
                screen.clear()
            case Bell():
                self._output.write("\a")
            case Interrupt() | EndOfInput():
                self._on_quit()

    def _take_lines(self, data: bytes) -> None:
        for line in self._splitter.feed(data) if data else self._splitter.finish():
            if self._stopping.is_set():
                return
            if line is None:
                self._show([f"error: the line is too long: at most {MAX_LINE_BYTES} bytes are allowed"])
            else:
                self._flush()
                self._execution.execute(line)
        if not data:
            self._mode = _Mode.SILENT
            if self._screen is not None:
                self._on_quit()

    def _detach(self) -> None:
        if self._screen is not None:
            self._screen.detach()

    def _suspend(self) -> None:
        if self._screen is not None:
            self._screen.suspend()

    def _resume(self) -> None:
        if self._screen is not None:
            self._screen.resume()
        self._waker.wake()

    def _changed(self, continued: bool) -> None:
        if self._screen is not None:
            self._screen.changed(continued=continued)
        self._waker.wake()


def _descriptor(stream: TextIO | None) -> int | None:
    try:
        return None if stream is None else stream.fileno()
    except (OSError, ValueError):
        return None


def _mode(in_fd: int | None, out_fd: int | None, environ: Mapping[str, str]) -> _Mode:
    if in_fd is None:
        return _Mode.SILENT
    if out_fd is None or not (os.isatty(in_fd) and os.isatty(out_fd)):
        return _Mode.LINES
    return _Mode.LINES if environ.get("TERM", "") in {"", "dumb"} else _Mode.KEYS
