"""A program's own terminal is its command line: event lines flow, and the line being typed below them stays whole.

One daemon thread reads standard input and writes standard output. Everything else hands it lines through a queue, so
that a terminal stopped with Ctrl-S, or a pipe that nobody reads, never holds up the program.
"""

from __future__ import annotations

import atexit
import errno
import os
import select
import sys
import threading
import time
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from torrentnet.console.editor import (
    Action,
    Bell,
    ClearScreen,
    EndOfInput,
    Interrupt,
    LineEditor,
    Redraw,
    ShowCandidates,
    Submit,
)
from torrentnet.console.input import MAX_LINE_BYTES, LineSplitter
from torrentnet.console.output import Outbox, Output, Waker
from torrentnet.console.signals import TerminalSignals
from torrentnet.console.text import escape_controls, text_width
from torrentnet.console.threads import block_signals
from torrentnet.console.tty import Tty, terminal_width

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import TextIO

READ_BYTES: Final = 4096
FOREGROUND_POLL_MS: Final = 500
"""How often a process in the background looks whether it was brought to the foreground: no signal says so."""
STOP_TIMEOUT_S: Final = 0.5
"""How long stopping waits for lines that standard output does not take."""
SCREEN_TIMEOUT_S: Final = 0.3
"""How long Ctrl-Z waits for a write that does not end, before it stops the process all the same."""
MANY_LINES: Final = 8
GATHER_S: Final = 0.02
"""After so many lines at once, how long more are gathered before they are written."""
BATCH_CHARS: Final = 8 * 1024
BATCH_S: Final = 0.1
WIPE: Final = "\r\x1b[K"


class Runner(Protocol):
    """What a terminal needs of :class:`~torrentnet.console.commands.Commands`."""

    name: str

    def execute(self, line: str, out: Callable[[str], None], err: Callable[[str], None]) -> int:
        """Carries out one line, gives its status; never raises but what *out* and *err* raise."""
        ...

    def complete(self, text: str) -> list[str]:
        """Candidates for the last word of *text*; never raises."""
        ...


class _Mode(Enum):
    SILENT = "no input at all"
    LINES = "whole lines, from a pipe or a plain terminal"
    KEYS = "keys, with a prompt"


class _EndedError(Exception):
    """The terminal stops while a command is answering."""


class Terminal:
    """Owns standard input and output from :meth:`start` to :meth:`stop`.

    - Both are a terminal: a prompt with editing, history and completion. ``quit``, Ctrl-D at an empty prompt and Ctrl-C
      call *on_quit*; Ctrl-Z suspends. With TERM unset or ``dumb``: plain lines, no escape sequence.
    - Input is a pipe or a file: each line is a command. Its end does not end the program.
    - Input is /dev/null, closed, or a terminal whose foreground is another process: nothing is read. In the last case
      reading begins when the process comes to the foreground.

    *on_quit* (that of *commands* where not given) is called from this terminal's thread or, for a signal, from the main
    thread; it must only tell the program to end. Handlers for SIGINT and SIGTERM are installed only where the program
    has none of its own and where :meth:`start` is called in the main thread.
    """

    def __init__(
        self,
        commands: Runner,
        stdin: TextIO | None,
        stdout: TextIO,
        *,
        on_quit: Callable[[], None] | None = None,
        prompt: str | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Touches nothing yet. *prompt* is ``NAME> `` where not given."""
        self._commands = commands
        self._on_quit = on_quit or getattr(commands, "on_quit", None) or (lambda: None)
        self._in_fd = _descriptor(stdin)
        self._output = Output(stdout)
        self._outbox = Outbox()
        self._mode = _mode(self._in_fd, self._output.fd, environ)
        self._from_tty = self._in_fd is not None and os.isatty(self._in_fd)
        self._tty = Tty(self._in_fd) if self._in_fd is not None and self._from_tty else None
        self._editor = LineEditor(commands.complete, prompt=f"{commands.name}> " if prompt is None else prompt)
        self._splitter = LineSplitter()
        self._signals = TerminalSignals(
            suspend=self._suspend, resume=self._resume, changed=self._changed, quit_=self._on_quit
        )
        self._waker = Waker()
        # Guards the terminal's mode and what is drawn on it. Re-entrant, because a signal handler takes it too.
        self._screen = threading.RLock()
        self._attached = False
        self._suspended = False
        self._continued = False
        self._dirty = False
        self._stopping = threading.Event()
        self._running = False
        self._thread: threading.Thread | None = None
        self._answer: list[str] = []
        self._answer_chars = 0
        self._answered_at = 0.0
        self._excepthook = sys.excepthook

    @property
    def lost(self) -> int:
        """Writes that failed, because standard output went away."""
        return self._output.failed

    def start(self) -> None:
        """Begins to read and write, on a daemon thread. Call it in the main thread, so that Ctrl-Z is handled."""
        self._signals.install()
        atexit.register(self.stop)
        self._excepthook, sys.excepthook = sys.excepthook, self._failed
        self._running = True
        self._thread = threading.Thread(target=self._loop, name="terminal", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Writes what is waiting, restores the terminal's mode and the signals. Any thread may call, also twice."""
        self._stopping.set()
        self._output.closing.set()
        self._waker.wake()
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return
        thread.join(STOP_TIMEOUT_S)
        if not thread.is_alive():
            # A line that was handed over just as the thread ended is still in the queue.
            self._flush()
        self._detach()
        self._signals.remove()
        atexit.unregister(self.stop)
        if sys.excepthook == self._failed:
            sys.excepthook = self._excepthook

    def write_line(self, text: str) -> None:
        """Shows one line, above the line that is being typed. Never blocks while the terminal runs. For any thread.

        Raises OSError before :meth:`start` and after :meth:`stop`, when standard output is gone.
        """
        if self._running:
            if self._outbox.put(text):
                self._waker.wake()
        elif not self._output.write(text + "\n"):
            raise BrokenPipeError(errno.EPIPE, "standard output is gone")

    def discard_line(self) -> bool:
        """Empties the line being typed; False when it is empty already. For a Ctrl-C that does not mean quit."""
        with self._screen:
            if not self._editor.text:
                return False
            self._editor.clear()
        self._changed(continued=False)
        return True

    def _failed(self, kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
        # The interpreter writes the traceback in several pieces, before anything of atexit runs: a prompt that is drawn
        # between two of them would wipe what the line has so far, which is the cause.
        self.stop()
        self._excepthook(kind, error, at)

    def _loop(self) -> None:
        block_signals()
        try:
            while not self._stopping.is_set():
                reading = self._sync()
                if self._flush() >= MANY_LINES:
                    # Lines come faster than one by one can be written at no cost: the next ones go together.
                    self._stopping.wait(GATHER_S)
                self._draw()
                if self._poll(reading=reading):
                    self._read()
        finally:
            # From here on lines are written where they are made; those that are waiting come first.
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
        """Brings the terminal's mode in line with what the process may do now; gives whether it may read."""
        if self._tty is None or self._mode is _Mode.SILENT:
            return self._mode is not _Mode.SILENT
        with self._screen:
            foreground = self._tty.foreground() and not self._suspended
            if self._mode is _Mode.LINES:
                return foreground
            changed, self._continued = self._continued, False
            if changed or not foreground:
                self._attached = False
            if foreground and not self._attached:
                if not self._tty.enter_keys():
                    self._mode = _Mode.SILENT
                    return False
                self._attached = self._dirty = True
            return foreground

    def _draw(self) -> None:
        """Draws the prompt again where something about it has changed."""
        with self._screen:
            if self._attached and self._dirty:
                self._output.write(self._rendered())

    def _rendered(self) -> str:
        self._dirty = False
        if self._output.fd is not None:
            self._editor.width = terminal_width(self._output.fd)
        return self._editor.render()

    def _flush(self) -> int:
        """Writes the lines that are waiting; gives how many they were."""
        lines = self._outbox.take()
        if lines:
            self._show(lines)
        return len(lines)

    def _show(self, lines: list[str]) -> None:
        """Writes lines, above the prompt where there is one."""
        if self._mode is not _Mode.KEYS:
            self._output.write("\n".join(lines) + "\n")
            return
        text = "\n".join(map(escape_controls, lines)) + "\n"
        with self._screen:
            self._output.write(WIPE + text + self._rendered() if self._attached else text)

    def _read(self) -> None:
        assert self._in_fd is not None
        try:
            data = os.read(self._in_fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            # EIO with the process in the background is the answer to a blocked SIGTTIN: wait for the foreground.
            if error.errno == errno.EIO and self._tty is not None and not self._tty.foreground():
                return
            # EIO otherwise, and anything else: nothing will ever come from there again.
            data = b""
        if self._mode is _Mode.KEYS:
            self._take_keys(data)
        else:
            self._take_lines(data)

    def _take_keys(self, data: bytes) -> None:
        if not data:
            # A hang-up; Ctrl-D comes as a byte. Whether the program ends with its terminal is SIGHUP's business.
            self._detach()
            self._mode = _Mode.SILENT
            return
        with self._screen:
            actions = self._editor.feed(data)
        for action in actions:
            if self._stopping.is_set():
                return
            self._act(action)

    def _act(self, action: Action) -> None:
        match action:
            case Submit(line):
                with self._screen:
                    self._output.write(f"{WIPE}{self._editor.prompt}{line}\n")
                    self._dirty = True
                self._execute(line)
            case Redraw():
                self._dirty = True
            case ShowCandidates(words):
                self._show(_in_columns(words, self._editor.width))
            case ClearScreen():
                self._output.write("\x1b[H\x1b[2J")
                self._dirty = True
            case Bell():
                self._output.write("\a")
            case Interrupt() | EndOfInput():
                self._on_quit()

    def _take_lines(self, data: bytes) -> None:
        for line in self._splitter.feed(data) if data else self._splitter.finish():
            if self._stopping.is_set():
                return
            if line is None:
                self._show([f"error: the line is too long: at most {MAX_LINE_BYTES} bytes are taken"])
            else:
                self._execute(line)
        if not data:
            self._mode = _Mode.SILENT
            if self._from_tty:
                self._on_quit()

    def _execute(self, line: str) -> None:
        self._flush()
        self._answered_at = time.monotonic()
        try:
            self._commands.execute(line, self._add_answer, self._add_answer)
            self._flush_answer()
        except _EndedError:
            pass

    def _add_answer(self, line: str) -> None:
        if self._stopping.is_set():
            raise _EndedError
        self._answer.append(line)
        self._answer_chars += len(line)
        if self._answer_chars >= BATCH_CHARS or time.monotonic() - self._answered_at >= BATCH_S:
            self._flush_answer()

    def _flush_answer(self) -> None:
        lines, self._answer, self._answer_chars = self._answer, [], 0
        self._answered_at = time.monotonic()
        if lines:
            with self._screen:
                self._output.write("\n".join(lines) + "\n")

    def _detach(self) -> None:
        if self._screen.acquire(timeout=SCREEN_TIMEOUT_S):
            try:
                if self._attached:
                    self._output.write(WIPE)
                self._attached = False
            finally:
                self._screen.release()
        # Also when a write that does not end holds the screen: the shell needs its mode back.
        if self._tty is not None:
            self._tty.leave()

    def _suspend(self) -> None:
        self._suspended = True
        self._detach()

    def _resume(self) -> None:
        self._suspended = False
        self._changed(continued=True)

    def _changed(self, continued: bool) -> None:
        self._continued = self._continued or continued
        self._dirty = True
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


def _in_columns(words: tuple[str, ...], width: int) -> list[str]:
    """Words as columns that fit into *width*, read downwards."""
    shown = [escape_controls(word) for word in words]
    cell = max(map(text_width, shown)) + 2
    count = max(1, (width - 1) // cell)
    rows = -(-len(shown) // count)
    return [
        "".join(word + " " * (cell - text_width(word)) for word in shown[row::rows]).rstrip() for row in range(rows)
    ]
