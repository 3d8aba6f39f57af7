"""The installer of the archive that ``make bundle`` writes, with a small wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 300
METADATA = "Metadata-Version: 2.1\nName: torrentnet\nVersion: 9.9\nProvides-Extra: lab\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unpacked archive whose wheel has nothing in it."""
    folder = tmp_path_factory.mktemp("bundle") / "it's here"
    (folder / "wheels").mkdir(parents=True)
    with zipfile.ZipFile(folder / "wheels/torrentnet-9.9-py3-none-any.whl", "w") as wheel:
        for name, text in (("METADATA", METADATA), ("WHEEL", WHEEL), ("RECORD", "")):
            wheel.writestr(f"torrentnet-9.9.dist-info/{name}", text)
    (folder / "image.tar.gz").write_bytes(b"")
    (folder / "install.sh").write_text((ROOT / "scripts/install-bundle.sh").read_text("utf-8"))
    return folder


def install(archive: Path, directory: Path, docker: str | None, **environ: str) -> subprocess.CompletedProcess[str]:
    """Install in a directory, with a command ``docker`` that is this script."""
    directory.mkdir()
    tools = directory / "tools"
    tools.mkdir()
    for name in ("dirname", "mkdir", "uname", "sh", "env"):
        (tools / name).symlink_to(f"/usr/bin/{name}" if Path(f"/usr/bin/{name}").exists() else f"/bin/{name}")
    if docker is not None:
        (tools / "docker").write_text(f"#!/bin/sh\n{docker}\n")
        (tools / "docker").chmod(0o755)
    environ = {"HOME": str(directory), "PATH": str(tools), "PYTHON": sys.executable, "PIP_USER": "1", **environ}
    return subprocess.run(
        ["/bin/sh", archive / "install.sh", "my lab"],
        cwd=directory,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )


def test_it_installs_from_its_own_files_alone(archive: Path, tmp_path: Path) -> None:
    done = install(archive, tmp_path / "x", 'echo "docker $*"', PIP_INDEX_URL="http://127.0.0.1:9/")
    assert done.returncode == 0, done.stderr
    assert f"docker load --quiet --input {archive}/image.tar.gz\n" in done.stdout
    assert done.stdout.endswith("try: cd my lab && .venv/bin/torrentnet run three_seeders\n")
    assert list((tmp_path / "x/my lab/.venv").glob("lib/*/site-packages/torrentnet-9.9.dist-info"))


def stub(tmp_path: Path, pip: int) -> str:
    """A Python whose environments' pip ends with this status."""
    path = tmp_path / "python"
    path.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        '"-m venv "*) /bin/mkdir -p "$3/bin"; /bin/cp "$0" "$3/bin/python" ;;\n'
        f'"-m pip "*) exit {pip} ;;\n'
        "--version) echo Python 3.99.1 ;;\n"
        "esac\n"
    )
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("docker", "words"),
    [
        (None, "there is no Docker here: labs run as ordinary processes"),
        ("exit 1", "the image could not be loaded; when a Docker Engine answers: docker load --input"),
    ],
)
def test_a_machine_without_an_engine_is_told_so(archive: Path, tmp_path: Path, docker: str | None, words: str) -> None:
    done = install(archive, tmp_path / "x", docker, PYTHON=stub(tmp_path, 0))
    assert done.returncode == 0, done.stderr
    assert words in done.stdout + done.stderr


def test_a_machine_without_wheels_is_told_so(archive: Path, tmp_path: Path) -> None:
    done = install(archive, tmp_path / "x", None, PYTHON=stub(tmp_path, 1))
    assert done.returncode == 1
    assert done.stderr == (
        f"install: error: no wheels for this machine: Python 3.99.1, {os.uname().machine}\n"
        '         make the archive again for it: make bundle python="3.11 3.12 3.13"\n'
    )


def test_a_missing_python_is_named(archive: Path, tmp_path: Path) -> None:
    done = install(archive, tmp_path / "x", None, PYTHON="python3.99")
    assert done.returncode == 1
    assert "there is no python3.99" in done.stderr
