"""A client that is a process of its own: it ends with the driver, and its output is read line by line."""

from __future__ import annotations

import shutil
import subprocess
import threading
from typing import TYPE_CHECKING

from torrentnet.adapters.adapter import AdapterError
from torrentnet.runtime.signals import block_signals

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Sequence
    from pathlib import Path

MAX_LINE = 4096
VERSION_TIMEOUT = 10.0


def find_command(command: str, package: str) -> str:
    """The path of a command. Raises :class:`AdapterError` with the package that has it."""
    path = shutil.which(command)
    if path is None:
        raise AdapterError(f"{command} is not installed (Debian package: {package})")
    return path


def first_output_line(*argv: str) -> str:
    """The first line that a command prints."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=VERSION_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AdapterError(f"{argv[0]} cannot be run: {error}") from None
    return (done.stdout or done.stderr).strip().partition("\n")[0]


class ChildProcess:
    """A running process. Make it in the main thread: the kernel ends it together with the thread that made it."""

    def __init__(self, argv: Sequence[str], directory: Path, on_line: Callable[[str], None]) -> None:
        self.name = argv[0].rpartition("/")[2]
        # The driver's SIGKILL must not leave the client alone. In a container its end is the end of all anyway.
        setpriv = shutil.which("setpriv")
        before = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
        try:
            self._process = subprocess.Popen(
                [*before, *argv],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise AdapterError(f"{self.name} cannot be run: {error.strerror}") from None
        self._on_line = on_line
        self._last_line = ""
        self._reader = threading.Thread(target=self._read, name="output", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        block_signals()
        assert self._process.stdout is not None
        while raw := self._process.stdout.readline(MAX_LINE):
            line = raw.decode("utf-8", "replace").strip()
            if line:
                self._last_line = line
                self._on_line(line)

    def raise_if_exited(self) -> None:
        """Raise :class:`AdapterError` when it has ended by itself."""
        status = self._process.poll()
        if status is not None:
            self._reader.join(1.0)
            said = f": {self._last_line}" if self._last_line else ""
            raise AdapterError(f"{self.name} ended with status {status}{said}")

    def terminate(self, signal_number: signal.Signals, timeout: float) -> None:
        """Send a signal, and SIGKILL where it has not ended after ``seconds``."""
        if self._process.poll() is None:
            self._process.send_signal(signal_number)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(1.0)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()
