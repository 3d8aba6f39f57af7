"""The images that nodes run: built when the sources have changed, and only then.

A tag is a hash of everything that goes into the image, so that "is it up to date" is one look-up by name.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import docker.errors

import docker
from torrentnet.lab.engines.child_process import ChildResult, run_child
from torrentnet.lab.engines.docker import labels
from torrentnet.lab.errors import EngineError
from torrentnet.lab.installation import typed_command
from torrentnet.lab.paths import PACKAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torrentnet.lab.engines.types import ProgressCallback

NODE = "node"
"""The Dockerfile's target that holds our own programs."""
CLIENTS = "clients"
"""The target that holds other people's clients and tracker beside them; built when a scenario has one of them."""
REPOSITORY = "torrentnet"
REPOSITORIES = {NODE: REPOSITORY, CLIENTS: f"{REPOSITORY}-clients"}
SOURCES = ("Dockerfile", ".dockerignore", "docker", "scripts/base-image.sh", "tracker.py", "peer.py")
"""What the Dockerfile copies beside the package, and what it is built with: below the directory of the lab's files."""
HOST_SIDE = ("lab", "_files")
"""Folders of the package that are not in the image: a change in them needs no new one."""
KEPT_IMAGES = 3
"""Of ours, the newest: going back and forth between two branches builds nothing."""
MIN_PRUNE_AGE = 900.0
"""An image that is younger may be another checkout's, whose lab is about to be made from it."""
TAIL = 15
STEP_SHOWN = 70


def sources(root: Path, package: Path = PACKAGE) -> Iterator[tuple[str, Path]]:
    """Yield every file that the image is built from, with its path in the build context, in a fixed order."""
    for name in SOURCES:
        path = root / name
        if path.is_file():
            yield name, path
        elif path.is_dir():
            for file in sorted(path.rglob("*")):
                if file.is_file():
                    yield file.relative_to(root).as_posix(), file
    for file in sorted(package.rglob("*")):
        relative = file.relative_to(package)
        compiled = "__pycache__" in file.parts or file.suffix == ".pyc"
        if file.is_file() and relative.parts[0] not in HOST_SIDE and not compiled:
            yield f"torrentnet/{relative.as_posix()}", file


def source_hash(root: Path, package: Path = PACKAGE) -> str:
    """Return twelve hexadecimal digits that change with every file's name, content or right to be run."""
    digest = hashlib.sha256()
    for name, path in sources(root, package):
        content = path.read_bytes()
        executable = bool(path.stat().st_mode & 0o100)
        digest.update(f"{name}\0{executable}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


def tag_of(root: Path, target: str = NODE) -> str:
    """The name of a target's image, made from the sources below ``root``, whether it is there or not."""
    return f"{REPOSITORIES[target]}:{source_hash(root)}"


def ensure_image(client: docker.DockerClient, root: Path, say: ProgressCallback, target: str = NODE) -> str:
    """Name a target's image of the sources below ``root``, after building it where it is not there yet.

    Raises EngineError with the last lines of the build where it fails.
    """
    tag = tag_of(root, target)
    repository, _, digest = tag.partition(":")
    with contextlib.suppress(docker.errors.ImageNotFound):
        client.images.get(tag)
        return tag
    began = time.monotonic()
    base = _base_image(root, say)
    say(f"building the image {repository}")
    with tempfile.TemporaryDirectory(prefix="torrentnet-") as context:
        # An installed package and its files have no directory in common that could be the context.
        for name, path in sources(root):
            copy = Path(context, name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
        result = run_child(
            [
                *("docker", "build", "--progress", "plain", "--build-arg", f"BASE_IMAGE={base}", "--target", target),
                *("--label", f"{labels.IMAGE}={digest}", "--tag", tag, "--tag", f"{repository}:latest", "."),
            ],
            cwd=Path(context),
            on_line=lambda line: _report_step(line, say),
        )
    _require(result, f"the image {repository} could not be built")
    say(f"the image {tag} is built ({time.monotonic() - began:.0f} s)")
    prune(client, keep=tag)
    return tag


def _base_image(root: Path, say: ProgressCallback) -> str:
    result = run_child(["bash", str(root / "scripts" / "base-image.sh")], cwd=root, on_line=say, keep_stdout=True)
    _require(result, "the base image could not be made")
    name = result.stdout.strip()
    if not name or "\n" in name:
        raise EngineError(f"scripts/base-image.sh did not name one image: {name!r}")
    return name


def _require(result: ChildResult, what: str) -> None:
    if result.status != 0:
        lines = "\n".join(f"    {line}" for line in result.tail[-TAIL:])
        raise EngineError(
            f"{what} (exit status {result.status}). Its last lines:\n{lines}",
            hint=f"`{typed_command('doctor')}` shows what is missing on this machine",
        )


STEP = re.compile(r"#\d+ \[[^]]*\] (RUN .*)")


def _report_step(line: str, say: ProgressCallback) -> None:
    if match := STEP.match(line):
        say(f"  {match[1][:STEP_SHOWN]}")


def prune(client: docker.DockerClient, *, keep: str) -> None:
    """Remove images of the same target that sources of long ago made, unless a container still runs from one."""
    repository = keep.partition(":")[0]
    # The plain list: looking at each image of it would fail where another lab removes one meanwhile.
    tagged = [
        (image.get("Created", 0), tag)
        for image in client.api.images(repository, filters={"label": labels.IMAGE})
        for tag in image.get("RepoTags") or ()
        if re.fullmatch(rf"{repository}:[0-9a-f]{{12}}", tag)
    ]
    old = time.time() - MIN_PRUNE_AGE
    for created, tag in sorted(tagged, reverse=True)[KEPT_IMAGES:]:
        if tag != keep and created < old:
            with contextlib.suppress(docker.errors.APIError):
                client.images.remove(tag)


def remove_all(client: docker.DockerClient) -> list[str]:
    """Remove every image of ours that no container uses; answers with the names."""
    removed = []
    for image in client.images.list(filters={"label": labels.IMAGE}):
        for tag in image.tags:
            with contextlib.suppress(docker.errors.APIError):
                client.images.remove(tag)
                removed.append(tag)
    return removed
