"""The images that nodes run, built only when the sources have changed.

A tag is a hash of everything that goes into the image, so that one look-up by name finds out whether it is up to date.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import docker.errors

from torrentnet.lab.engines.child_process import ChildResult, run_child
from torrentnet.lab.engines.docker import labels
from torrentnet.lab.engines.owner import boot_id, machine_id
from torrentnet.lab.errors import EngineError
from torrentnet.lab.installation import typed_command
from torrentnet.lab.paths import PACKAGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torrentnet.lab.engines.types import ProgressCallback

NODE: Final = "node"
"""The Dockerfile's target with our own programs."""
CLIENTS: Final = "clients"
"""The target with clients and a tracker of others too; built when a scenario has one of them."""
RUNTIME: Final = "runtime"
"""The target with our programs in a form that works in any image; built when a scenario brings an image along."""
REPOSITORY: Final = "torrentnet"
REPOSITORIES: Final = {NODE: REPOSITORY, CLIENTS: f"{REPOSITORY}-clients", RUNTIME: f"{REPOSITORY}-runtime"}
SOURCES: Final = ("Dockerfile", ".dockerignore", "docker", "scripts/base-image.sh", "tracker.py", "peer.py")
"""What the image is built from beside the package, below the directory of the lab's files."""
HOST_SIDE: Final = ("lab", "_files")
"""Folders of the package that are not in the image: a change in them needs no new image."""
IMAGES_KEPT: Final = 3
"""The newest ones of a target: switching between two branches builds nothing."""
MIN_PRUNE_AGE: Final = 900.0
"""A younger image may belong to another checkout, whose lab is about to be created from it."""
LINES_SHOWN: Final = 15
STEP_LENGTH: Final = 70


def sources(root: Path, package: Path = PACKAGE) -> Iterator[tuple[str, Path]]:
    """Yield every file that the image is built from, in a fixed order.

    Each item is the file's path in the build context, and the file.
    """
    for name in SOURCES:
        path = root / name
        if path.is_file():
            yield name, path
        elif path.is_dir():
            for file in sorted(path.rglob("*")):
                if file.is_file():
                    yield file.relative_to(root).as_posix(), file
    for folder in sorted(entry for entry in package.iterdir() if entry.name not in HOST_SIDE):
        for file in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            compiled = "__pycache__" in file.parts or file.suffix == ".pyc"
            if not compiled and file.is_file():
                yield f"torrentnet/{file.relative_to(package).as_posix()}", file


def source_hash(root: Path, package: Path = PACKAGE) -> str:
    """Return a hash of the sources, as twelve hexadecimal digits.

    The hash changes with any file's name, content or executable bit.
    """
    digest = hashlib.sha256()
    for name, path in sources(root, package):
        content = path.read_bytes()
        executable = bool(path.stat().st_mode & 0o100)
        digest.update(f"{name}\0{executable}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


def tag_of(root: Path, target: str = NODE) -> str:
    """Return the name of a target's image for the sources below ``root``.

    The image need not exist.
    """
    return f"{REPOSITORIES[target]}:{source_hash(root)}"


def ensure_image(
    client: docker.DockerClient,
    root: Path,
    progress: ProgressCallback,
    target: str = NODE,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Build a target's image where it does not exist, and return its name.

    The image is that of the sources below ``root``. ``environment`` is that of the command ``docker``. Raises
    EngineError with the last lines of a build that fails.
    """
    tag = tag_of(root, target)
    repository, _, digest = tag.partition(":")
    with contextlib.suppress(docker.errors.ImageNotFound):
        client.images.get(tag)
        return tag
    began = time.monotonic()
    base = _base_image(root, environment, progress)
    progress(f"building the image {repository}")
    with tempfile.TemporaryDirectory(prefix="torrentnet-") as context:
        # An installed package and its files have no directory in common that could be the context.
        for name, path in sources(root):
            copy = Path(context, name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
        result = run_child(
            [
                *("docker", "build", "--progress", "plain", "--build-arg", f"BASE_IMAGE={base}", "--target", target),
                *("--label", f"{labels.IMAGE}={digest}", "--label", f"{labels.BUILT}={built_now()}"),
                *("--tag", tag, "--tag", f"{repository}:latest", "."),
            ],
            cwd=Path(context),
            env=environment,
            on_line=lambda line: _report_step(line, progress),
        )
    _require_success(result, f"the image {repository} could not be built")
    progress(f"the image {tag} is built ({time.monotonic() - began:.0f} s)")
    prune(client, keep=tag)
    return tag


def _base_image(root: Path, environment: Mapping[str, str] | None, progress: ProgressCallback) -> str:
    script = str(root / "scripts" / "base-image.sh")
    result = run_child(["bash", script], cwd=root, env=environment, on_line=progress, keep_stdout=True)
    _require_success(result, "the base image could not be built")
    name = result.stdout.strip()
    if not name or "\n" in name:
        raise EngineError(f"scripts/base-image.sh did not print the name of one image: {name!r}")
    return name


def _require_success(result: ChildResult, what: str) -> None:
    if result.status != 0:
        lines = "\n".join(f"    {line}" for line in result.tail[-LINES_SHOWN:])
        raise EngineError(
            f"{what} (exit status {result.status}). Its last lines:\n{lines}",
            hint=f"`{typed_command('doctor')}` shows what is missing on this machine",
        )


_STEP: Final = re.compile(r"#\d+ \[[^]]*\] (RUN .*)")


def _report_step(line: str, progress: ProgressCallback) -> None:
    if match := _STEP.match(line):
        progress(f"  {match[1][:STEP_LENGTH]}")


def built_now() -> str:
    """Return the value of the label BUILT: machine, boot, and seconds since the boot.

    The time of day does not tell an image's age: somebody may set it.
    """
    return f"{machine_id()} {boot_id()} {uptime():.0f}"


def least_age(built: str) -> float:
    """Return the least age in seconds of an image with this label BUILT.

    An image of another machine may be new, and one of another boot is at least as old as this boot.
    """
    machine, _, rest = built.partition(" ")
    boot, _, moment = rest.partition(" ")
    if built and machine != machine_id():
        return 0.0
    return uptime() - (float(moment) if boot == boot_id() and moment.isdigit() else 0.0)


def uptime() -> float:
    """Return the seconds since this machine's boot, or since another fixed time."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def prune(client: docker.DockerClient, *, keep: str, kept: int = IMAGES_KEPT) -> None:
    """Remove old images that no container uses, except the newest ones.

    They are images of the same target as ``keep`` that were built long ago.
    """
    repository = keep.partition(":")[0]
    # The plain list: inspecting each image of it would fail where another lab removes one meanwhile.
    tagged = [
        (image.get("Created", 0), tag, (image.get("Labels") or {}).get(labels.BUILT, ""))
        for image in client.api.images(repository, filters={"label": labels.IMAGE})
        for tag in image.get("RepoTags") or ()
        if re.fullmatch(rf"{repository}:[0-9a-f]{{12}}", tag)
    ]
    for _, tag, built in sorted(tagged, reverse=True)[kept:]:
        if tag != keep and least_age(built) > MIN_PRUNE_AGE:
            with contextlib.suppress(docker.errors.APIError):
                client.images.remove(tag)
