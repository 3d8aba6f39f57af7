"""Two users of one machine share its Docker Engine and leave each other alone.

Their homes are private, and the checkout belongs to neither.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.helpers import END_S, ROOT, SCENARIOS, environment
from torrentnet.lab.engines.docker import cleanup, labels

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

QUICK = str(SCENARIOS / "quick.yaml")
PYTHON = f"/usr/bin/python3.{sys.version_info.minor}"
"""An interpreter that every user may run; that of the tests may be in a private home."""


class User:
    """A user without an account, in the group that owns Docker's socket."""

    def __init__(self, number: int, home: Path, group: int) -> None:
        self.number, self.home, self._group = number, home, group
        home.mkdir(mode=0o700)
        os.chown(home, number, number)

    def torrentnet(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run the command line to its end."""
        return subprocess.run(
            [PYTHON, "-m", "torrentnet.lab", *argv],
            env=environment(self.home, HOME=str(self.home), PYTHONPATH=os.pathsep.join([str(ROOT), *sys.path[1:]])),
            cwd=self.home,
            user=self.number,
            group=self.number,
            extra_groups=[self._group],
            capture_output=True,
            text=True,
            timeout=END_S,
            check=False,
        )


@contextmanager
def users() -> Iterator[tuple[User, User]]:
    """Yield two users with private homes; nothing is left of them."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    socket = Path("/var/run/docker.sock")
    if not socket.exists():
        pytest.skip(f"{socket} does not exist")
    with tempfile.TemporaryDirectory() as path:
        Path(path).chmod(0o755)
        group = socket.stat().st_gid
        first, second = (User(number, Path(path, str(number)), group) for number in (34567, 34568))
        if not Path(PYTHON).exists() or first.torrentnet("--help").returncode != 0:
            pytest.skip(f"another user cannot run {PYTHON} with the packages of this checkout")
        yield first, second


def test_no_user_removes_anothers_lab(client: docker.DockerClient) -> None:
    with users() as (first, second):
        try:
            up = first.torrentnet("up", QUICK, "--engine", "docker")
            assert up.returncode == 0, up.stdout + up.stderr

            def running() -> list[str]:
                found = cleanup.find(client, f"{labels.USER}={first.number}")
                return [remains.project for remains in found if remains.alive]

            (project,) = running()
            answer = second.torrentnet("down", "--engine", "docker")
            assert (answer.returncode, answer.stdout) == (0, "no lab is up here\n"), answer.stderr
            assert running() == [project]
            # A stranger's state file that names the lab.
            state = second.home / ".torrentnet"
            state.mkdir()
            stolen = json.loads((first.home / ".torrentnet" / "lab.json").read_text("utf-8"))
            (state / "lab.json").write_text(json.dumps({**stolen, "home": str(second.home)}), "utf-8")
            answer = second.torrentnet("down", "--engine", "docker")
            assert answer.returncode != 0
            assert f"belongs to user id {first.number}" in answer.stderr
            assert running() == [project]
        finally:
            down = first.torrentnet("down", "--engine", "docker")
        assert down.returncode == 0, down.stderr
        assert not cleanup.find(client, f"{labels.USER}={first.number}")
