"""A lab's handle of its supervisor.

The handle holds the supervisor's process, and the pipe by whose end the supervisor notices that the lab is gone.

Tested by tests/integration/test_local_engine.py.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

from torrentnet.lab.engines.local import diagnosis, protocol, registry
from torrentnet.lab.engines.local.client import SupervisorClient
from torrentnet.lab.engines.local.supervisor.sandbox_root import LANGUAGE
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class SupervisorHandle:
    """The supervisor of a lab, as a child of this process.

    The lab is identified by its directory in the registry.
    """

    def __init__(self, directory: Path, root: Path, held: Sequence[int]) -> None:
        """Start the supervisor and wait until it listens.

        The supervisor keeps the descriptors ``held`` open for its lifetime. Raises EngineError with the supervisor's
        message, or OSError.
        """
        self._directory = directory
        (directory / protocol.ROOT).mkdir()
        lifeline, self._lifeline = os.pipe()
        ready_read, ready = os.pipe()
        log = directory / protocol.SUPERVISOR_LOG
        try:
            with log.open("wb") as output:
                self._process: subprocess.Popen[bytes] | None = subprocess.Popen(
                    [
                        *diagnosis.python_command(),
                        "torrentnet.lab.engines.local.supervisor.main",
                        str(directory),
                        str(lifeline),
                        str(ready),
                    ],
                    cwd="/",
                    env={
                        "PYTHONPATH": str(root),
                        "PATH": os.environ.get("PATH", os.defpath),
                        # The nodes' own: some of them are forks of the supervisor.
                        "LANG": LANGUAGE,
                    },
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=[lifeline, ready, *held],
                    # A Ctrl-C at the terminal reaches the lab only.
                    start_new_session=True,
                )
        except BaseException:
            os.close(self._lifeline)
            os.close(ready_read)
            raise
        finally:
            os.close(lifeline)
            os.close(ready)
        try:
            with os.fdopen(ready_read, encoding="utf-8", errors="replace") as stream:
                message = stream.readline().strip()
            if message != protocol.READY:
                text = log.read_text(encoding="utf-8", errors="replace").strip()
                reason = message or (text.splitlines() or ["it ended"])[-1]
                raise EngineError(f"the supervisor of the nodes could not be started: {reason}")
        except BaseException:
            self.close()
            raise

    def release(self) -> None:
        """Let the supervisor outlive this process."""
        with contextlib.suppress(EngineError):
            SupervisorClient(self._directory).request("release")
        os.close(self._lifeline)
        self._lifeline = -1
        if self._process is not None:
            # Popen would warn that its child still runs.
            self._process.returncode = 0
            self._process = None

    def close(self) -> None:
        """Close the pipe and wait until the supervisor has ended. May be called again."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(registry.END_TIMEOUT)
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self._process = None
