"""The wheel, installed in an environment of its own.

The lab works in any directory, and leaves the user's files alone.

Nothing is fetched: the lab's libraries are those of the environment that runs the tests.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from tests.integration.engines import DOCKER, NOWHERE, need
from tests.integration.helpers import ROOT
from tests.unit.lab import golden
from torrentnet import __version__
from torrentnet.lab import paths
from torrentnet.lab.engines.docker.engine import DockerEngine
from torrentnet.lab.home import is_finished

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "runs", "build", "__pycache__", "*.egg-info", ".*_cache", ".torrentnet"
)
LOOPBACK = {"TORRENTNET_ENGINE": "local", "TORRENTNET_LOCAL_NETWORK": "loopback", "DOCKER_HOST": NOWHERE}
ON_DOCKER = {"TORRENTNET_ENGINE": "docker"}
TIME_LIMIT_S = 120.0


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution, as an index would offer both."""
    folder = tmp_path_factory.mktemp("dist")
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=LEFT_OUT)
    sdist = build("sdist", source, folder)
    with tarfile.open(folder / sdist) as archive:
        archive.extractall(folder, filter="data")
    return folder / build("wheel", folder / sdist.removesuffix(".tar.gz"), folder)


def build(kind: str, source: Path, target: Path) -> str:
    code = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(target)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it, and a directory to work in."""

    environment: Path
    directory: Path
    state: Path

    def run(
        self, *argv: str, cwd: Path | None = None, environ: Mapping[str, str] = LOOPBACK
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the virtual environment in the directory.

        The variables ``environ`` choose the engine.
        """
        own = paths.RUNTIME_VARIABLE
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TORRENTNET_", "PYTHON"))}
        kept[own] = os.environ[own]
        return subprocess.run(
            [str(self.environment / "bin" / argv[0]), *argv[1:]],
            cwd=cwd or self.directory,
            env={**kept, **environ, "XDG_STATE_HOME": str(self.state), "COLUMNS": "100"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT_S,
            check=False,
        )

    @property
    def files(self) -> list[str]:
        """What is in the directory, without what runs record."""
        found = (path.relative_to(self.directory) for path in self.directory.rglob("*") if path.is_file())
        return sorted(path.as_posix() for path in found if not {"runs", "__pycache__", ".pytest_cache"} & {*path.parts})

    def refusal(self, done: subprocess.CompletedProcess[str]) -> str:
        """What a refused command printed, without the names of this run's places."""
        assert not done.stdout
        text = done.stderr
        for path, name in ((self.environment, "ENVIRONMENT"), (self.directory, "DIRECTORY")):
            text = text.replace(str(path), name)
        return re.sub(r"python3\.\d+", "python3.X", text).replace(__version__, "VERSION")


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a virtual environment with the wheel.

    The lab's libraries are those of the environment that runs this test.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    subprocess.run(
        [*pip, "install", "-qq", "--no-index", "--no-deps", "--no-compile", str(wheel)],
        check=True,
        timeout=TIME_LIMIT_S,
    )
    site = next(folder.glob("lib/python3*/site-packages"))
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    script = folder / "bin" / "pytest"
    script.write_text(f"#!{folder}/bin/python\nimport sys, pytest\nsys.exit(pytest.console_main())\n")
    script.chmod(0o755)
    return folder


@pytest.fixture
def installed(environment: Path, tmp_path: Path) -> Iterator[Installed]:
    """The environment, with an empty directory to work in."""
    directory = tmp_path / "project"
    directory.mkdir()
    made = Installed(environment, directory, tmp_path / "state")
    yield made
    made.run("torrentnet", "down")


# -- what is in it -----------------------------------------------------------------------------------


def test_the_wheel_has_the_files_that_a_lab_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name.removeprefix("torrentnet/_files/") for name in archive.namelist() if "/_files/" in name}
        for name in names:
            assert archive.read(f"torrentnet/_files/{name}") == (ROOT / name).read_bytes(), name
        assert "torrentnet/py.typed" in archive.namelist()
        for folder in ("lab/report/assets", "lab/report/templates", "lab/tools/grade/templates"):
            for path in (ROOT / "torrentnet" / folder).iterdir():
                assert archive.read(f"torrentnet/{folder}/{path.name}") == path.read_bytes()
        assert not [name for name in archive.namelist() if not name.startswith(("torrentnet/", "torrentnet-"))]
    assert names == {
        *("Dockerfile", ".dockerignore", "docker-compose.yml", "docker/launch", "scripts/base-image.sh"),
        *("tracker.py", "peer.py", "docs/scenario.schema.json", "docs/rubric.schema.json", "docs/torrentnet.lua"),
        "rubrics/simple_torrent.yaml",
        *(f"rubrics/reference/{name}.py" for name in ("tracker", "peer", "common")),
        *(f"scenarios/{path.name}" for path in (ROOT / "scenarios").glob("*.yaml")),
    }


def test_the_metadata_is_complete_and_fits_our_constraints(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    assert (metadata["Version"], metadata["License-Expression"]) == (__version__, "MIT")
    assert "network lab" in metadata["Summary"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    pinned = dict(
        line.lower().replace("_", "-").split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    wanted = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    assert {"docker", "pydantic", "pyyaml", "rich", "typer"} <= {one.name.lower() for one in wanted}
    for one in wanted:
        if one.name != "setuptools":
            assert one.specifier.contains(pinned[one.name.lower()]), one


# -- in an empty directory ---------------------------------------------------------------------------


def test_a_scenario_runs_by_its_name_and_is_recorded_here(installed: Installed) -> None:
    done = installed.run("torrentnet", "run", "three_seeders")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "three_seeders: PASSED" in done.stdout
    assert (installed.directory / "runs/three_seeders/latest/result.json").is_file()
    assert installed.files == []


def test_the_version_is_that_of_the_package(installed: Installed) -> None:
    assert installed.run("torrentnet", "--version").stdout == f"torrentnet {__version__}\n"


def test_what_init_writes_runs_as_a_scenario_and_as_a_test(installed: Installed) -> None:
    assert installed.run("torrentnet", "init").returncode == 0
    written = installed.files
    assert installed.run("torrentnet", "validate", "scenarios/first.yaml").stdout.startswith("scenarios/first.yaml: ")
    done = installed.run("torrentnet", "run", "scenarios/first.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    tested = installed.run("pytest", "-q", "-p", "no:cacheprovider")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "1 passed" in tested.stdout
    assert installed.files == written


def test_a_lab_that_is_up_is_found_again(installed: Installed) -> None:
    assert installed.run("torrentnet", "init").returncode == 0
    up = installed.run("torrentnet", "up", "scenarios/first.yaml")
    assert up.returncode == 0, up.stdout + up.stderr
    assert "torrentnet down" in up.stdout and not re.search(r"make |\.venv", up.stdout)
    assert "first" in installed.run("torrentnet", "status").stdout
    assert "myfile.txt" in installed.run("torrentnet", "attach", "tracker", "file_logs", "-all").stdout
    assert installed.run("torrentnet", "down").returncode == 0
    assert not [path for path in installed.state.rglob("*") if path.is_file()]


@pytest.mark.docker
def test_compose_finds_a_lab_that_is_up(installed: Installed) -> None:
    need(DOCKER)
    assert installed.run("torrentnet", "init").returncode == 0
    written = installed.files
    up = installed.run("torrentnet", "up", "scenarios/first.yaml", environ=ON_DOCKER)
    assert up.returncode == 0, up.stdout + up.stderr
    listed = compose(installed.directory, "ps", "--all", "--format", "{{.Service}}")
    assert sorted(listed.split()) == ["leecher", "seeder-1", "seeder-2", "tracker"]
    assert "myfile.txt" in compose(installed.directory, "exec", "-T", "tracker", "file_logs", "-all")
    # A checkout keeps its state elsewhere; its clean-up must know this lab as one that is up all the same.
    with contextlib.closing(DockerEngine(ROOT)) as engine:
        assert not [lab.project for lab in engine.collect_orphans(is_finished) if "-first-" in lab.project]
    assert installed.run("torrentnet", "down", environ=ON_DOCKER).returncode == 0
    assert installed.files == written


@pytest.mark.docker
def test_a_project_with_a_compose_file_keeps_it_to_itself(installed: Installed) -> None:
    need(DOCKER)
    (installed.directory / ".env").write_text("SECRET=1\n")
    (installed.directory / "compose.yaml").write_text("services: {}\n")
    assert installed.run("torrentnet", "init", "lab").returncode == 0
    written = installed.files
    up = installed.run("torrentnet", "up", "lab/scenarios/first.yaml", environ=ON_DOCKER)
    assert up.returncode == 0, up.stdout + up.stderr
    command = re.search(r"docker compose (-p \S+ -f \S+) ps", up.stdout)
    assert command, up.stdout
    assert "tracker" in compose(installed.directory, *command[1].split(), "ps", "--all", "--format", "{{.Service}}")
    assert "myfile.txt" in compose(
        installed.directory, *command[1].split(), "exec", "-T", "tracker", "file_logs", "-all"
    )
    assert installed.files == written
    assert (installed.directory / ".env").read_text() == "SECRET=1\n"
    assert installed.run("torrentnet", "down", environ=ON_DOCKER).returncode == 0


def compose(directory: Path, *words: str) -> str:
    """Run ``docker compose`` in a directory, as its user would."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
    command = ["docker", "compose", *words]
    return subprocess.run(
        command, cwd=directory, env=kept, capture_output=True, text=True, check=True, timeout=TIME_LIMIT_S
    ).stdout


# -- where it is refused -----------------------------------------------------------------------------


def test_without_docker_and_namespaces_a_fault_is_refused(installed: Installed) -> None:
    done = installed.run("torrentnet", "run", "lossy_udp", environ={**LOOPBACK, "TORRENTNET_ENGINE": "auto"})
    assert done.returncode == 3
    said = re.sub(r"runs/lossy_udp/\S+", "RECORD", re.sub(r"\(.*? s\b.*\)", "(SECONDS)", done.stdout))
    golden.check("installed_no_engine.txt", said + done.stderr)


def test_a_read_only_directory_is_refused(installed: Installed) -> None:
    # No process may make a directory in this one, whoever its user is.
    done = installed.run("torrentnet", "run", "three_seeders", cwd=Path("/sys"))
    assert done.returncode == 3
    said = re.sub(r"created: .*: /sys", "created: REASON: /sys", done.stderr)
    golden.check("installed_read_only.txt", said)


def test_init_in_a_read_only_directory_is_refused(installed: Installed) -> None:
    done = installed.run("torrentnet", "init", cwd=Path("/sys"))
    assert done.returncode == 2
    golden.check("installed_read_only_init.txt", re.sub(r"written: .*;", "written: REASON;", installed.refusal(done)))


def test_init_over_existing_files_is_refused(installed: Installed) -> None:
    (installed.directory / ".gitignore").write_text("mine\n")
    done = installed.run("torrentnet", "init")
    assert done.returncode == 2
    golden.check("installed_init_over_files.txt", installed.refusal(done))
    assert installed.files == [".gitignore"]
    assert (installed.directory / ".gitignore").read_text() == "mine\n"


def test_two_versions_are_refused(installed: Installed) -> None:
    older = installed.directory / "older" / "torrentnet"
    older.mkdir(parents=True)
    (older / "__init__.py").write_text('__version__ = "0.0.9"\n')
    path = next(installed.environment.glob("lib/python3*/site-packages")) / "older.pth"
    path.write_text(f"{older.parent}\n")
    try:
        done = installed.run("torrentnet", "run", "three_seeders")
    finally:
        path.unlink()
    assert done.returncode == 2
    golden.check("installed_two_versions.txt", installed.refusal(done))
    assert not (installed.directory / "runs").exists()
