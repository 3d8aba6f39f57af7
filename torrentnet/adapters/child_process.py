"""A child process whose output is read line by line.

The process is killed with its adapter.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from typing import TYPE_CHECKING, Final

from torrentnet.adapters.adapter import AdapterError
from torrentnet.runtime.signals import block_signals
from torrentnet.wire.errors import os_error_text

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Sequence
    from pathlib import Path

MAX_LINE: Final = 4096
"""Bytes of a line; a longer line is cut into several."""
VERSION_TIMEOUT: Final = 30.0


def find_command(command: str, package: str = "") -> str:
    """Return the path of a command.

    Raises :class:`AdapterError` if the command is not installed.

    ``package`` is the command's Debian package, if that has another name.
    """
    path = shutil.which(command)
    if path is None:
        raise AdapterError(f"{command} is not installed (Debian package: {package or command})")
    return path


def first_output_line(*argv: str) -> str:
    """Run a command and return the first line of its output.

    Raises :class:`AdapterError`.
    """
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=VERSION_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AdapterError(f"cannot run {argv[0]}: {error}") from None
    return (done.stdout or done.stderr).strip().partition("\n")[0]


def free_port() -> int:
    """Return a TCP port of the loopback interface that no program listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class ChildProcess:
    """A running child process.

    Create it in the main thread: the kernel kills the process when the creating thread ends.
    """

    def __init__(self, argv: Sequence[str], directory: Path, on_line: Callable[[str], None]) -> None:
        self.name = argv[0].rpartition("/")[2]
        # The program must not survive a SIGKILL of the adapter; in a container, it cannot.
        setpriv = shutil.which("setpriv")
        prefix = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
        try:
            self._process = subprocess.Popen(
                [*prefix, *argv],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise AdapterError(f"cannot run {self.name}: {os_error_text(error)}") from None
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
        """Raise :class:`AdapterError` if the process has exited by itself."""
        status = self._process.poll()
        if status is not None:
            self._reader.join(1.0)
            output = f": {self._last_line}" if self._last_line else ""
            raise AdapterError(f"{self.name} exited with status {status}{output}")

    def terminate(self, signal_number: signal.Signals, timeout: float) -> None:
        """Send a signal; send SIGKILL if the process has not exited after ``timeout``."""
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
