"""A lab's hold on its keeper: the process, and the pipe whose end tells it that the lab is gone."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

from torrentnet.lab.engines.local import diagnosis, protocol, registry
from torrentnet.lab.engines.local.client import SupervisorClient
from torrentnet.lab.engines.local.supervisor import sandbox_root
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class SupervisorHandle:
    """The keeper of the lab in a directory of the registry, and a child of this process."""

    def __init__(self, directory: Path, root: Path, held: Sequence[int]) -> None:
        """Start it and wait until it listens. It keeps the descriptors ``held`` open as long as it lives.

        Raises EngineError with what the keeper said, OSError.
        """
        self._directory = directory
        (directory / protocol.ROOT).mkdir()
        lifeline, self._lifeline = os.pipe()
        heard, ready = os.pipe()
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
                        # As its nodes have it, some of which are forks of it.
                        "LANG": sandbox_root.LANGUAGE,
                    },
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=[lifeline, ready, *held],
                    # A Ctrl-C at the terminal reaches the lab alone.
                    start_new_session=True,
                )
        except BaseException:
            os.close(self._lifeline)
            os.close(heard)
            raise
        finally:
            os.close(lifeline)
            os.close(ready)
        try:
            with os.fdopen(heard, encoding="utf-8", errors="replace") as answer:
                said = answer.readline().strip()
            if said != protocol.READY:
                text = log.read_text(encoding="utf-8", errors="replace").strip()
                why = said or (text.splitlines() or ["it ended"])[-1]
                raise EngineError(f"the process that keeps the nodes could not be started: {why}")
        except BaseException:
            self.let_go()
            raise

    def release(self) -> None:
        """Let the keeper live without this process."""
        with contextlib.suppress(EngineError):
            SupervisorClient(self._directory).ask("release")
        os.close(self._lifeline)
        self._lifeline = -1
        if self._process is not None:
            # It is nobody's child from now on; Popen would complain that it still runs.
            self._process.returncode = 0
            self._process = None

    def let_go(self) -> None:
        """Wait until the keeper has ended for want of its lab. May be called again."""
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
