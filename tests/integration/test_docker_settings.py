"""Docker as people have set it up, tried with an engine of the tests' own."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.engines import DOCKER, need
from tests.integration.helpers import END_S, SCENARIOS, torrentnet
from tests.integration.second_engine import BASE, SecondEngine, second_engine, why_missing
from torrentnet.lab.engines.docker import labels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import docker

pytestmark = pytest.mark.docker
THEIRS = {
    "COMPOSE_FILE": "/nonexistent/theirs.yaml",
    "COMPOSE_PROJECT_NAME": "theirs",
    "DOCKER_BUILDKIT": "0",
    "BUILDX_BUILDER": "theirs",
    "DOCKER_DEFAULT_PLATFORM": "linux/s390x",
}
"""What users export for other projects."""


@pytest.fixture(scope="module")
def second() -> Iterator[SecondEngine]:
    """An engine that keeps no output by default, with our base image."""
    need(DOCKER)
    if missing := why_missing():
        pytest.skip(missing)
    with second_engine("--log-driver", "none") as engine:
        engine.copy_images(BASE)
        yield engine


@pytest.fixture
def context(second: SecondEngine, tmp_path: Path) -> dict[str, str]:
    """The environment of a user whose context ``far`` is that engine."""
    environment = {"DOCKER_CONFIG": str(tmp_path / "config"), "DOCKER_CONTEXT": "far", "TORRENTNET_ENGINE": "docker"}
    subprocess.run(
        ["docker", "--context", "default", "context", "create", "far", "--docker", f"host={second.host}"],
        env={"PATH": "/usr/bin:/bin", **environment},
        check=True,
        capture_output=True,
        timeout=END_S,
    )
    return environment


def test_one_engine_builds_creates_and_answers(
    tmp_path: Path, second: SecondEngine, context: dict[str, str], client: docker.DockerClient
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {**context, **THEIRS}
    up = torrentnet(home, "up", str(SCENARIOS / "quick.yaml"), **environment)
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        assert "building the image" in up.stdout
        assert "COMPOSE_FILE, COMPOSE_PROJECT_NAME is exported" in up.stdout
        nodes = second.docker("ps", "--filter", f"label={labels.HOME}={home}", "--format", "{{.Names}}").split()
        assert any("tracker" in name for name in nodes)
        assert not client.api.containers(all=True, filters={"label": f"{labels.HOME}={home}"})
        # The commands that `up` prints work with the user's variables as they are.
        ps = next(line for line in up.stdout.splitlines() if "its nodes" in line).removesuffix("its nodes")
        listed = subprocess.run(
            ps,
            shell=True,
            cwd=home,
            env={"PATH": "/usr/bin:/bin", **environment},
            capture_output=True,
            text=True,
            timeout=END_S,
            check=False,
        )
        assert "tracker" in listed.stdout, listed.stderr
        assert "listening program=tracker" in torrentnet(home, "logs", "tracker", **environment).stdout
        assert "myfile.txt" in torrentnet(home, "attach", "tracker", "file_logs", "-all", **environment).stdout
    finally:
        down = torrentnet(home, "down", **environment)
    assert down.returncode == 0, down.stdout + down.stderr
    assert not second.docker("ps", "--all", "--quiet")


def test_an_engine_that_does_not_see_the_nodes_files_is_refused(
    tmp_path: Path, second: SecondEngine, context: dict[str, str]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(home)], check=True, timeout=END_S)
    try:
        run = torrentnet(home, "run", str(SCENARIOS / "quick.yaml"), **context)
        left = [path.name for path in home.iterdir()]
    finally:
        subprocess.run(["umount", str(home)], check=True, timeout=END_S)
    assert run.returncode == 3, run.stdout + run.stderr
    assert "(the Docker context `far`) does not see" in run.stdout + run.stderr
    assert "unset DOCKER_CONTEXT" in run.stdout + run.stderr
    assert left == ["runs"]
    assert not second.docker("ps", "--all", "--quiet")
    assert not second.docker("network", "ls", "--quiet", "--filter", f"label={labels.LAB}")
