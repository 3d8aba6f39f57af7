"""The images of programs that a scenario brings along.

Such an image is the program's own (``image:``, a Dockerfile in its folder) or that of our nodes, with the program's
folder at ``/program`` and, where the image is not ours, our observer at ``/torrentnet``. A tag is a hash of everything
that goes into the image. What an image says of its user, its start, its volumes or its environment is for the program
alone, never for the observer.

Tested by tests/unit/lab/engines/docker/programs/test_program_images.py and tests/integration/test_foreign_nodes.py.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import stat
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import docker.errors

from torrentnet.lab.engines.child_process import run_child
from torrentnet.lab.engines.docker import images, labels
from torrentnet.lab.engines.docker.programs import program_build
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torrentnet.lab.engines.types import ProgressCallback
    from torrentnet.lab.scenario.plan.program import ProgramPlan

REPOSITORY: Final = "torrentnet-program"
FOLDER: Final = "/program"
RUNTIME: Final = "/torrentnet"
DOCKERFILE: Final = "Dockerfile"
FORMAT: Final = "1"
"""Another number whenever images of programs are made in another way."""
IMAGES_KEPT: Final = 100
"""The newest ones; a class has as many submissions, and they share most of their layers."""
PULL_TIMEOUT: Final = 300.0
DOCKERFILE_TIMEOUT: Final = 600.0
PROCESSORS: Final = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
"""The Engine's word for a processor, and the images'."""
LEFT_OUT: Final = shutil.ignore_patterns(".git", "__pycache__", ".venv", "node_modules/.cache")


@dataclass(frozen=True, slots=True)
class ProgramImage:
    """The image of a program that the scenario brings along."""

    tag: str
    folder: str = ""
    """Where the program's files are; empty where it has none but the image's."""
    environment: tuple[tuple[str, str], ...] = ()
    """The variables of an image that is not ours."""
    volumes: tuple[str, ...] = ()
    """The directories for which such an image wants volumes."""
    ours: bool = True
    """Whether it is made from the image of our nodes."""
    path: str = ""
    """PYTHONPATH of the program; empty where nothing is installed for it."""


class ProgramImages:
    """Makes the images of a lab's programs, each once."""

    def __init__(
        self,
        client: docker.DockerClient,
        root: Path,
        node_image: str,
        environment: Mapping[str, str],
        progress: ProgressCallback,
    ) -> None:
        """Prepare to make images.

        ``root`` is the directory with our Dockerfile, ``environment`` that of the command ``docker``.
        """
        self._client = client
        self._root = root
        self._node_image = node_image
        self._environment = environment
        self._progress = progress

    def ensure(self, program: ProgramPlan) -> ProgramImage:
        """Return a program's image; make it where it does not exist. Raises EngineError."""
        own_file = program.folder is not None and not program.image and (program.folder / DOCKERFILE).is_file()
        ours = not (program.image or own_file)
        if not ours:
            runtime = images.ensure_image(self._client, self._root, self._progress, images.RUNTIME, self._environment)
            if program.image:
                self._require_image(program)
        else:
            runtime = self._node_image
        base = "" if own_file else self._id(program.image or self._node_image)
        tag = f"{REPOSITORY}:{_hash(FORMAT, runtime, base, program.digest, program.build, program.install)}"
        if self._find(tag) is None:
            began = time.monotonic()
            self._make(program, tag, runtime, own_file=own_file)
            self._progress(f"the image of the program {program.name} is built ({time.monotonic() - began:.0f} s)")
            images.prune(self._client, keep=tag, kept=IMAGES_KEPT)
        return self._describe(program, tag, own_file=own_file)

    def _describe(self, program: ProgramPlan, tag: str, *, own_file: bool) -> ProgramImage:
        found = self._find(tag) or {}
        path = program_build.SITE if program.install else ""
        if not (program.image or own_file):
            return ProgramImage(tag, FOLDER, path=path)
        config: dict[str, Any] = found.get("Config") or {}
        variables = tuple(tuple(entry.split("=", 1)) for entry in config.get("Env") or () if "=" in entry)
        folder = FOLDER if program.folder is not None else ""
        if own_file and config.get("WorkingDir", "/") not in {"", "/"}:
            folder = str(config["WorkingDir"])
        environment = tuple((name, value) for name, value in variables)
        return ProgramImage(tag, folder, environment, tuple(config.get("Volumes") or ()), ours=False, path=path)

    def _find(self, name: str) -> dict[str, Any] | None:
        try:
            return dict(self._client.images.get(name).attrs)
        except docker.errors.ImageNotFound:
            return None

    def _id(self, name: str) -> str:
        found = self._find(name)
        if found is None:
            raise EngineError(f"the image {name} has been removed meanwhile", hint="run the scenario again")
        return str(found["Id"])

    # -- images of others --------------------------------------------------------------------------

    def _require_image(self, program: ProgramPlan) -> None:
        """Pull a program's image where this machine does not have it.

        Raises EngineError where the image cannot run here.
        """
        found = self._find(program.image)
        if found is None:
            self._progress(f"pulling {program.image}, the image of the program {program.name}")
            command = ["docker", "pull", "--quiet", program.image]
            result = run_child(command, cwd=self._root, env=self._environment, timeout=PULL_TIMEOUT)
            found = self._find(program.image)
            if found is None:
                reason = result.tail[-1].removeprefix("Error response from daemon: ") if result.tail else "no answer"
                raise EngineError(
                    f"the image {program.image} of the program {program.name} is not on this machine, and cannot be"
                    f" pulled: {reason}",
                    hint=f"build it (`docker build --tag {program.image} FOLDER`), load it (`docker load`), or correct"
                    " its name",
                )
        system = str(found.get("Os", ""))
        theirs = str(found.get("Architecture", ""))
        info = self._client.info()
        mine = PROCESSORS.get(str(info.get("Architecture", "")), str(info.get("Architecture", "")))
        if (system, theirs) != ("linux", mine):
            raise EngineError(
                f"the image {program.image} of the program {program.name} is for {system}/{theirs}, and this Docker"
                f" Engine runs linux/{mine}",
                hint=f"`docker pull --platform linux/{mine} {program.image}`, or build it for that processor",
            )

    def _build_own(self, program: ProgramPlan, tag: str) -> None:
        """Build the Dockerfile in a program's folder."""
        assert program.folder is not None
        self._progress(f"building the Dockerfile of the program {program.name}")
        command = ["docker", "build", "--progress", "plain", "--tag", tag, "."]
        result = run_child(command, cwd=program.folder, env=self._environment, timeout=DOCKERFILE_TIMEOUT)
        if result.status != 0:
            raise program_build.failed(f"the Dockerfile of the program {program.name}", result, DOCKERFILE_TIMEOUT)

    # -- our layers --------------------------------------------------------------------------------

    def _make(self, program: ProgramPlan, tag: str, runtime: str, *, own_file: bool) -> None:
        base, own = program.image or self._node_image, f"{tag}-own"
        with contextlib.ExitStack() as stack:
            context = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="torrentnet-")))
            if own_file:
                # Its layers live on in the image that is made from it; the name is not needed any more then.
                stack.callback(self._remove, own)
                self._build_own(program, own)
                base = own
            elif program.folder is not None:
                copy = context / "program"
                shutil.copytree(program.folder, copy, symlinks=True, ignore=LEFT_OUT)
                python = self._client, base
                if program.install:
                    program_build.install(program, copy, lambda: program_build.python_of(*python), self._progress)
                if program.build:
                    program_build.build(self._client, program, copy, base, self._node_image, self._progress)
                make_readable(copy)
            lines = dockerfile(base, runtime if program.image or own_file else "", (context / "program").is_dir())
            (context / DOCKERFILE).write_text(lines, encoding="utf-8")
            (context / ".dockerignore").write_text("", encoding="utf-8")
            label = f"{labels.IMAGE}={tag.partition(':')[2]}"
            built = f"{labels.BUILT}={images.built_now()}"
            command = [
                "docker",
                "build",
                "--progress",
                "plain",
                "--network",
                "none",
                "--label",
                label,
                "--label",
                built,
                "--tag",
                tag,
                ".",
            ]
            result = run_child(command, cwd=context, env=self._environment)
            if result.status != 0:
                raise program_build.failed(f"the image of the program {program.name}", result)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(docker.errors.APIError):
            self._client.images.remove(name)


def dockerfile(base: str, runtime: str, has_folder: bool) -> str:
    """Return the Dockerfile that adds our layers to a program's image.

    ``runtime`` is empty for a program in the image of our nodes.
    """
    lines = [f"FROM {base}", "USER 0:0"]
    if runtime:
        lines.append(f"COPY --from={runtime} {RUNTIME} {RUNTIME}")
    if has_folder:
        lines.append(f"COPY --chown=0:0 program {FOLDER}")
    return "\n".join(
        [*lines, "ENTRYPOINT []", 'CMD ["observe", "--help"]', "HEALTHCHECK NONE", "STOPSIGNAL SIGTERM", ""]
    )


def make_readable(folder: Path) -> None:
    """Let every user read a folder, and keep nobody's special rights."""
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            continue
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode) or mode & 0o111:
            path.chmod(0o755)
        elif stat.S_ISREG(mode):
            path.chmod(0o644)
        else:
            path.unlink()


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
