"""The images that nodes run: built when the sources have changed, and only then.

A tag is a hash of everything that goes into the image, so that "is it up to date" is one look-up by name.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from typing import TYPE_CHECKING

import docker.errors

import docker
from torrentnet.lab.engines.child_process import ChildResult, run_child
from torrentnet.lab.engines.docker import labels
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torrentnet.lab.engines.types import ProgressCallback

NODE = "node"
"""The Dockerfile's target that holds our own programs."""
CLIENTS = "clients"
"""The target that holds other people's clients and tracker beside them; built when a scenario has one of them."""
REPOSITORY = "torrentnet"
REPOSITORIES = {NODE: REPOSITORY, CLIENTS: f"{REPOSITORY}-clients"}
SOURCES = ("Dockerfile", ".dockerignore", "docker", "scripts/base-image.sh", "tracker.py", "peer.py", "torrentnet")
"""What the Dockerfile copies, and what it is built with."""
HOST_SIDE = "torrentnet/lab"
"""Not in the image: a change of the lab needs no new one."""
KEPT_IMAGES = 3
"""Of ours, the newest: going back and forth between two branches builds nothing."""
MIN_PRUNE_AGE = 900.0
"""An image that is younger may be another checkout's, whose lab is about to be made from it."""
TAIL = 15
STEP_SHOWN = 70


def sources(root: Path) -> Iterator[Path]:
    """Every file that goes into the image, in a fixed order."""
    for name in SOURCES:
        path = root / name
        if path.is_file():
            yield path
        elif path.is_dir():
            for file in sorted(path.rglob("*")):
                relative = file.relative_to(root).as_posix()
                if (
                    file.is_file()
                    and not relative.startswith(HOST_SIDE + "/")
                    and "__pycache__" not in file.parts
                    and file.suffix != ".pyc"
                ):
                    yield file


def source_hash(root: Path) -> str:
    """Twelve hexadecimal digits that change with every file's name, content or right to be run."""
    digest = hashlib.sha256()
    for path in sources(root):
        name = path.relative_to(root).as_posix()
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
    if not (root / "Dockerfile").is_file():
        raise EngineError(
            f"there is no Dockerfile in {root}", hint="the lab is run from a checkout: git clone, then make up"
        )
    tag = tag_of(root, target)
    repository, _, digest = tag.partition(":")
    with contextlib.suppress(docker.errors.ImageNotFound):
        client.images.get(tag)
        return tag
    began = time.monotonic()
    base = _base_image(root, say)
    say(f"building the image {repository}")
    result = run_child(
        [
            *("docker", "build", "--progress", "plain", "--build-arg", f"BASE_IMAGE={base}", "--target", target),
            *("--label", f"{labels.IMAGE}={digest}", "--tag", tag, "--tag", f"{repository}:latest", "."),
        ],
        cwd=root,
        on_line=lambda line: _report_step(line, say),
    )
    _require(result, f"the image {repository} could not be built")
    say(f"the image {tag} is built ({time.monotonic() - began:.0f} s)")
    prune(client, keep=tag)
    return tag


def _base_image(root: Path, say: ProgressCallback) -> str:
    result = run_child([str(root / "scripts" / "base-image.sh")], cwd=root, on_line=say, keep_stdout=True)
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
            hint="`make doctor` shows what is missing on this machine",
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
