"""The steps ``install:`` and ``build:`` of a program that a scenario brings along.

``install`` unpacks wheels, which runs nothing of theirs. ``build`` is the program's own shell command: it runs once in
a container with limits, a network like that of ``docker build``, and nothing of this machine but the program's folder.

Tested by tests/unit/lab/engines/docker/programs/test_program_build.py and tests/integration/test_foreign_nodes.py.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import secrets
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import docker.errors
import docker.types
import requests

from torrentnet.lab.engines.child_process import ChildResult, run_child
from torrentnet.lab.engines.docker import helper_containers, labels
from torrentnet.lab.engines.docker.limits import USER, volume_options
from torrentnet.lab.engines.types import Mode
from torrentnet.lab.errors import EngineError
from torrentnet.lab.scenario.plan.limits import NodeLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torrentnet.lab.engines.types import ProgressCallback
    from torrentnet.lab.scenario.plan.program import ProgramPlan

TIMEOUT: Final = 120
MEMORY: Final = 1 << 30
PROCESSES: Final = 256
DISK: Final = 512 << 20
"""Bytes of the folder after the build."""
OUTPUT: Final = "1m"
LINES_SHOWN: Final = 3
LINE_LENGTH: Final = 200
SITE: Final = "/program/.site"
"""Where the installed packages are."""
WORK: Final = "/program"
KEPT: Final = "/run/torrentnet/0"
"""Where the container that keeps the folder sees it."""
MAX_REQUIREMENTS: Final = 100
OLDEST_C_LIBRARY, NEWEST_C_LIBRARY = 17, 45
REQUIREMENT: Final = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[A-Za-z0-9._, -]*\])?\s*"
    r"(\(?\s*(===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9.*+!_-]+\s*(,\s*(===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9.*+!_-]+\s*)*\)?)?"
    r"(;[^@]*)?"
)
_STEP_OUTPUT: Final = re.compile(r"#\d+ \d+\.\d+ (.+)")
PRINT_VERSION: Final = "import sys; print('%d.%d' % sys.version_info[:2])"


def failed(what: str, result: ChildResult, timeout: float = TIMEOUT) -> EngineError:
    """Return the error of a step that failed.

    Its message is one line; the cause is what the step printed last.
    """
    lines = [line.strip()[:LINE_LENGTH] for line in result.tail if line.strip() and not line.startswith("WARNING:")]
    # Of `docker build`, what the failed step printed says more than where it stands.
    lines = [found[1] for line in lines if (found := _STEP_OUTPUT.match(line))] or lines
    printed = "; ".join(lines[-LINES_SHOWN:]) or "it printed nothing"
    if result.timed_out:
        return EngineError(
            f"{what} did not end within {timeout:g} s: {printed}", hint="make it shorter, or do it before"
        )
    return EngineError(
        f"{what} failed with status {result.status}: {printed}", hint="try the command by hand in the program's folder"
    )


# -- install ---------------------------------------------------------------------------------------


def install(program: ProgramPlan, folder: Path, python_version: Callable[[], str], progress: ProgressCallback) -> None:
    """Install what a requirements file in ``folder`` names to its folder ``.site``.

    Only wheels, from the package index that this machine's pip uses. Raises EngineError.
    """
    what = f"the install step of the program {program.name}"
    source = (folder / program.install).resolve()
    if not source.is_relative_to(folder.resolve()) or not source.is_file():
        raise EngineError(f"{what}: there is no file {program.install} in its folder", hint="correct `install:`")
    wanted = requirements(source.read_text("utf-8", "replace"), what)
    if not wanted:
        return
    progress(f"installing the packages of the program {program.name}")
    version = python_version()
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write("\n".join([*wanted, ""]))
        file.flush()
        platforms = [
            word
            for number in range(NEWEST_C_LIBRARY, OLDEST_C_LIBRARY - 1, -1)
            for word in ("--platform", f"manylinux_2_{number}_{os.uname().machine}")
        ]
        command = [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-compile", "--ignore-installed"),
            *("--only-binary", ":all:", "--implementation", "cp", "--python-version", version, *platforms),
            *("--target", str(folder / Path(SITE).name), "--requirement", file.name),
        ]
        unset = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_NO_BINARY", "PIP_REQUIREMENT", "PYTHONPATH")
        environment = {name: value for name, value in os.environ.items() if name not in unset} | {"PIP_USER": "0"}
        result = run_child(command, cwd=folder, env=environment, timeout=TIMEOUT)
    if result.status != 0 or result.timed_out:
        raise failed(what, result)


def requirements(text: str, what: str) -> list[str]:
    """Return the lines of a requirements file that name packages.

    Raises EngineError for any other line: an option could name another index, and an address source code to run.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition(" #")[0].strip() if not line.lstrip().startswith("#") else ""
        if not words:
            continue
        if not REQUIREMENT.fullmatch(words):
            raise EngineError(
                f"{what}: line {number} is not a package's name with a version: {words[:LINE_LENGTH]!r}",
                hint="only wheels by name are installed: no options, addresses, paths or files",
            )
        found.append(words)
    if len(found) > MAX_REQUIREMENTS:
        raise EngineError(f"{what}: {len(found)} packages; at most {MAX_REQUIREMENTS} are installed")
    return found


def python_of(client: docker.DockerClient, image: str) -> str:
    """Return the version of an image's Python, such as ``3.13``.

    Raises EngineError where it has none.
    """
    with _container(client, image, ["python3", "-I", "-S", "-c", PRINT_VERSION], network="none") as container:
        status = _run(client, container, TIMEOUT)
        printed = client.api.logs(container, stdout=True, stderr=False).decode("ascii", "replace").strip()
    if status != 0 or not re.fullmatch(r"3\.\d+", printed):
        raise EngineError(f"`install:` needs a Python in the image {image}, which has none", hint="remove `install:`")
    return printed


# -- build -----------------------------------------------------------------------------------------


def build(
    client: docker.DockerClient,
    program: ProgramPlan,
    folder: Path,
    image: str,
    node_image: str,
    progress: ProgressCallback,
) -> None:
    """Run a program's ``build`` command in a container of ``image``.

    Replaces the folder by the result. Raises EngineError with the last lines of its output.
    """
    progress(f"building the program {program.name}")
    what = f"the build of the program {program.name}"
    with contextlib.ExitStack() as stack:
        name, own = stack.enter_context(_folder_in_memory(client, node_image))
        client.api.put_archive(own, KEPT, _packed(folder))
        mounts = {name: {"bind": WORK, "mode": "rw"}}
        command = ["sh", "-c", program.build]
        try:
            container = stack.enter_context(_container(client, image, command, mounts=mounts))
            status = _run(client, container, TIMEOUT)
        except docker.errors.APIError as error:
            raise EngineError(f"{what} cannot be started: {error.explanation}", hint="its image needs `sh`") from error
        lines = client.api.logs(container, tail=LINES_SHOWN * 4).decode("utf-8", "replace").splitlines()
        if status != 0:
            raise failed(what, ChildResult(status or 0, "", tuple(lines), timed_out=status is None))
        chunks, _ = client.api.get_archive(own, f"{KEPT}/.")
        _unpack(b"".join(chunks), folder, what)


@contextlib.contextmanager
def _folder_in_memory(client: docker.DockerClient, image: str) -> Iterator[tuple[str, str]]:
    """Create a directory of limited size.

    Yields its volume, and the container that keeps it.
    """
    project = f"{helper_containers.SCRATCH_PROJECT}{secrets.token_hex(3)}"
    own = {labels.LAB: project, **labels.owner_labels(Mode.RUN)}
    options = volume_options(NodeLimits(disk=DISK), USER)
    created = client.api.create_volume(project, "local", options, own)["Name"]
    try:
        binds = {created: {"bind": KEPT, "mode": "rw"}}
        keeper = helper_containers.create_helper(client, image, own, binds=binds)
        try:
            client.api.start(keeper)
            yield created, keeper
        finally:
            client.api.remove_container(keeper, v=True, force=True)
    finally:
        client.api.remove_volume(created, force=True)


@contextlib.contextmanager
def _container(
    client: docker.DockerClient,
    image: str,
    command: list[str],
    *,
    mounts: Mapping[str, Mapping[str, str]] | None = None,
    network: str = "default",
) -> Iterator[str]:
    """Create a container in which a program's own commands may run."""
    own = {
        labels.LAB: f"{helper_containers.SCRATCH_PROJECT}{secrets.token_hex(3)}",
        **labels.owner_labels(Mode.RUN),
    }
    host = client.api.create_host_config(
        network_mode=network,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        read_only=True,
        tmpfs={"/tmp": "mode=1777,size=256m,exec"},
        mem_limit=MEMORY + DISK,
        memswap_limit=MEMORY + DISK,
        pids_limit=PROCESSES,
        binds=dict(mounts or {}),
        log_config=docker.types.LogConfig(type="json-file", config={"max-size": OUTPUT, "max-file": "1"}),
        ulimits=[docker.types.Ulimit(name="core", soft=0, hard=0)],
    )
    container = client.api.create_container(
        image,
        command,
        entrypoint=[],
        labels=own,
        host_config=host,
        user=f"{USER}:{USER}",
        working_dir=WORK if mounts else "/",
        environment={"HOME": "/tmp", "LD_PRELOAD": ""},
    )["Id"]
    try:
        yield container
    finally:
        with contextlib.suppress(docker.errors.NotFound):
            client.api.remove_container(container, v=True, force=True)


def _run(client: docker.DockerClient, container: str, timeout: int) -> int | None:
    """Run a container to its end and return its status.

    The result is None where it was killed because time was up.
    """
    client.api.start(container)
    try:
        return int(client.api.wait(container, timeout=timeout)["StatusCode"])
    except requests.RequestException:
        with contextlib.suppress(docker.errors.APIError):
            client.api.kill(container)
        return None


def _packed(folder: Path) -> bytes:
    """Return an archive of a folder's content that belongs to the nodes' user."""

    def owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = USER
        entry.uname = entry.gname = ""
        entry.mode |= 0o700 if entry.isdir() else 0o600
        return entry

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.add(folder, ".", filter=owned)
    return stream.getvalue()


def _unpack(content: bytes, folder: Path, what: str) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(folder, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise EngineError(f"{what} left something that is no file or folder of its own: {error}") from error
