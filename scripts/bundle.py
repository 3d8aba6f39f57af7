"""One archive with all that a machine without a network needs: the image, and the wheels of the lab and its libraries.

``make bundle`` runs it; ``install.sh`` in the archive installs. Wheels are for machines like this one, with the Python
versions that are named (``python="3.11 3.12"``), and for this one's where none is.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from torrentnet import __version__
from torrentnet.lab.engines.docker import images
from torrentnet.lab.engines.docker.engine import DockerEngine
from torrentnet.lab.errors import LabError

ROOT: Final = Path(__file__).resolve().parents[1]
INSTALLER: Final = Path(__file__).with_name("install-bundle.sh")
PIP: Final = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


def main(argv: list[str]) -> int:
    """Write the archive; return the exit status."""
    parser = argparse.ArgumentParser(prog="make bundle", description="Write an archive for machines without a network.")
    parser.add_argument("--python", default="", metavar="X.Y ...", help="the Python versions of those machines")
    parser.add_argument("--to", type=Path, default=ROOT / "build", metavar="DIR", help="where to write it")
    options = parser.parse_args(argv)
    name = f"torrentnet-{__version__}-{platform.machine()}"
    options.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bundle-", dir=options.to) as work:
        folder = Path(work, name)
        folder.mkdir()
        try:
            _save_image(folder / "image.tar.gz")
            _collect_wheels(folder / "wheels", options.python.split())
            shutil.copy(INSTALLER, folder / "install.sh")
            _try_out(folder, Path(work, "trial"), options.python.split())
        except LabError as error:
            print(f"{error.message}\n    {error.hint}", file=sys.stderr)
            return error.exit_code
        except subprocess.CalledProcessError as error:
            print(f"`{' '.join(map(str, error.cmd[:6]))} ...` failed; its last lines are above", file=sys.stderr)
            return 3
        archive = options.to / f"{name}.tar"
        with tarfile.open(Path(work, "archive"), "w") as packed:
            packed.add(folder, name)
        Path(work, "archive").replace(archive)
    print(f"{os.path.relpath(archive)}: {archive.stat().st_size / 1e6:.0f} MB")
    print(f"on the other machine: tar xf {archive.name} && sh {name}/install.sh")
    return 0


def _save_image(file: Path) -> None:
    with contextlib.closing(DockerEngine(ROOT)) as engine:
        engine.check()
        engine.prepare(print)
        print("saving the image")
        save = ["docker", "save", images.tag_of(ROOT)]
        with file.open("wb") as target, subprocess.Popen(["gzip", "-1"], stdin=subprocess.PIPE, stdout=target) as pack:
            subprocess.run(save, check=True, stdout=pack.stdin, env=engine.command_environment())
            assert pack.stdin is not None
            pack.stdin.close()


def _collect_wheels(folder: Path, versions: list[str]) -> None:
    print("collecting the wheels")
    subprocess.run([*PIP, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)], check=True)
    wheel = next(folder.glob("torrentnet-*.whl"))
    download = [*PIP, "download", "--dest", str(folder), "--constraint", str(ROOT / "constraints.txt")]
    for version in versions or [""]:
        chosen = ["--only-binary=:all:", "--python-version", version] if version else ["--only-binary=:all:"]
        subprocess.run([*download, *chosen, f"{wheel}[lab]"], check=True)


def _try_out(folder: Path, trial: Path, versions: list[str]) -> None:
    """Install the archive's content here, where it has wheels for this Python."""
    if versions and f"{sys.version_info.major}.{sys.version_info.minor}" not in versions:
        return
    print("installing it in an empty directory, to see that it works")
    environment = {**os.environ, "PYTHON": sys.executable}
    subprocess.run(["sh", folder / "install.sh", trial], check=True, env=environment, stdout=subprocess.DEVNULL)
    subprocess.run(
        [trial / ".venv/bin/torrentnet", "validate", *_scenarios(trial)], check=True, stdout=subprocess.DEVNULL
    )


def _scenarios(trial: Path) -> list[Path]:
    return sorted(trial.glob(".venv/lib/*/site-packages/torrentnet/_files/scenarios/*.yaml"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
