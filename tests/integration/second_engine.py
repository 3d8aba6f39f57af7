"""A Docker Engine of the tests' own, beside the machine's.

It has its own socket, data, process id file and network; it is removed with all that it holds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

BASE: Final = "torrentnet-base:1"
"""The image that ours begins with."""
START_S: Final = 90.0
STOP_S: Final = 60.0
LIFE_S: Final = 900
"""After this time the engine ends, whatever has become of the tests."""

RUN: Final = """
mkdir "$0/data" && mount -t tmpfs tmpfs "$0/data" || exit
while [ ! -e "$0/over" ]; do "$@"; while [ -e "$0/down" ]; do sleep 0.1; done; done
"""
"""The engine, started again whenever it ends, in the namespaces of its first start.

Its data is in memory: a base image is unpacked in half of the time, and nothing is left of it whatever happens.
"""


@dataclass(frozen=True)
class SecondEngine:
    """A Docker Engine that runs."""

    socket: Path

    @property
    def host(self) -> str:
        """Its endpoint, for DOCKER_HOST."""
        return f"unix://{self.socket}"

    def docker(self, *argv: str) -> str:
        """Run the command ``docker`` with this engine; returns its output."""
        command = ["docker", "--host", self.host, *argv]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=STOP_S).stdout

    def end(self, signal: Signals) -> None:
        """End the engine's process; another one follows at :meth:`start_again`."""
        (self.socket.parent / "down").touch()
        pid = int((self.socket.parent / "pid").read_text())
        os.kill(pid, signal)
        _until(lambda: not Path(f"/proc/{pid}").exists(), "the end of dockerd")

    def start_again(self) -> None:
        """Start the engine again, in the namespaces and with the data that it had."""
        (self.socket.parent / "down").unlink(missing_ok=True)
        _until(self.answers, "dockerd")

    def answers(self) -> bool:
        """Return whether the engine answers."""
        try:
            self.docker("version")
        except subprocess.SubprocessError:
            return False
        return True

    def copy_images(self, *names: str) -> None:
        """Copy images of the machine's engine."""
        with subprocess.Popen(["docker", "save", *names], stdout=subprocess.PIPE) as save:
            subprocess.run(
                ["docker", "--host", self.host, "load", "--quiet"],
                stdin=save.stdout,
                check=True,
                capture_output=True,
                timeout=START_S,
            )
        assert save.returncode == 0


def why_missing() -> str:
    """Why this machine cannot have a second engine; empty where it can."""
    if os.geteuid() != 0:
        return "needs root, to start a Docker Engine of its own"
    missing = [name for name in ("dockerd", "unshare") if shutil.which(name) is None]
    return f"needs the command {missing[0]}" if missing else ""


@contextlib.contextmanager
def second_engine(*options: str) -> Iterator[SecondEngine]:
    """Start an engine with these options of ``dockerd``, and remove it at the end."""
    # A Unix socket's path is short.
    folder = Path(tempfile.mkdtemp(prefix="tn-engine-", dir="/tmp"))
    # An engine with user namespaces passes through it as somebody else.
    folder.chmod(0o711)
    command = [
        # A network of its own, whose rules are the engine's alone. What is mounted from now on the engine does not see.
        *("unshare", "--mount", "--net"),
        *("timeout", "--kill-after=10", str(LIFE_S), "sh", "-c", RUN, str(folder)),
        *("dockerd", "--host", f"unix://{folder}/docker.sock", "--config-file", f"{folder}/none.json"),
        *("--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid"),
        *options,
    ]
    (folder / "none.json").write_text("{}")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    engine = SecondEngine(folder / "docker.sock")
    try:
        _wait(engine, process, folder / "log")
        yield engine
    finally:
        with contextlib.suppress(subprocess.SubprocessError):
            left: Sequence[str] = engine.docker("ps", "--all", "--quiet").split()
            if left:
                engine.docker("rm", "--force", "--volumes", *left)
            engine.docker("network", "prune", "--force")
        (folder / "over").touch()
        (folder / "down").unlink(missing_ok=True)
        # The loop ends with the engine.
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((folder / "pid").read_text()), Signals.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, Signals.SIGKILL)
            process.wait()
        shutil.rmtree(folder)


def _wait(engine: SecondEngine, process: subprocess.Popen[bytes], log: Path) -> None:
    def ready() -> bool:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        assert process.poll() is None, f"dockerd has ended:\n{tail}"
        return engine.answers()

    _until(ready, "dockerd")


def _until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START_S
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.1)
