"""What a node sees of the machine: its files, its name, its network.

A node with namespaces sees ``/data``, ``/files`` and ``/run/torrentnet`` as in a container, its lab's names in
``/etc/hosts``, and everything else of the machine as it is, but read-only. A node on the loopback interface sees the
machine.

Tested by tests/integration/test_local_engine.py.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.local.supervisor import syscalls

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA, FILES, RUN = "/data", "/files", "/run/torrentnet"
HOSTS: Final = "/etc/hosts"
"""Where programs look names up (hosts(5)): a node reads those of its lab there."""
NOT_MIRRORED: Final = {"data", "files", "run", "proc"}
"""Folders of the machine's root directory that a node does not see. Sockets of the machine's services are in /run."""
RUN_MIRRORED: Final = {"current-system", "wrappers"}
"""What a node sees of /run: programs, on systems that have them there."""
MAX_FILES: Final = 65_536
LANGUAGE: Final = "C.UTF-8"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a node's own program sees of the machine.

    On the loopback interface all fields but the first are None or empty.
    """

    directory: str
    """Its working directory, as the program sees it."""
    root: str = ""
    """The directory that :func:`build_root` has made its root directory."""
    binds: Mapping[str, str] = field(default_factory=dict)
    """Path in the sandbox to the path on the machine that is mounted there."""
    read_only: tuple[str, ...] = ()
    host_name: str = ""
    network: int | None = None
    """Descriptor of its network namespace."""


def build_root(root: str) -> None:
    """Mount the root directory that all nodes see.

    The mount is in a new mount namespace of this process. Raises OSError where that is not allowed.
    """
    syscalls.unshare(syscalls.NEW_MOUNTS)
    # Slave: what the machine unmounts later is unmounted here too, and not kept busy.
    syscalls.mount("", "/", flags=syscalls.SLAVE | syscalls.RECURSIVE)
    syscalls.mount("torrentnet", root, "tmpfs", syscalls.NO_SUID | syscalls.NO_DEVICES, "size=1m,mode=0755")
    for name in ("data", "files", "run", "proc"):
        Path(root, name).mkdir()
    # The folder that contains this root comes first, while nothing in it can be mounted twice.
    own = Path(root).parts[1]
    for name in sorted(set(os.listdir("/")) - NOT_MIRRORED, key=lambda name: (name != own, name)):
        _mirror(f"/{name}", f"{root}/{name}")
    for name in sorted(set(os.listdir("/run")) & RUN_MIRRORED):
        _mirror(f"/run/{name}", f"{root}/run/{name}")
    Path(root + RUN).mkdir()
    # With the process ids of this namespace.
    syscalls.mount("proc", "/proc", "proc", syscalls.NO_SUID | syscalls.NO_DEVICES | syscalls.NO_EXEC)


def write_hosts(path: Path, addresses: Mapping[str, str]) -> str:
    """Write a file for :data:`HOSTS` and return its path.

    The lab's names come before the machine's. Returns an empty text where the machine has no such file, over which it
    could be mounted.
    """
    try:
        machine = Path(HOSTS).read_text("utf-8", "surrogateescape")
    except OSError:
        return ""
    own = [f"{address}\t{name}" for name, address in addresses.items()]
    path.write_text("\n".join([*own, machine]), "utf-8", "surrogateescape")
    return str(path)


def hide(root: str, directory: str) -> None:
    """Let no node below ``root`` see what is in a directory of this machine."""
    # Where this user may not see the directory, the nodes do not see it either.
    with contextlib.suppress(FileNotFoundError):
        syscalls.mount("torrentnet", root + directory, "tmpfs", syscalls.READ_ONLY | syscalls.NO_DEVICES, "size=4k")


def mount_memory(directory: str, size: int) -> None:
    """Mount a file system of limited size on a directory.

    What is in it lasts as long as this process.
    """
    options = f"size={size},nr_inodes={MAX_FILES},mode=0755"
    syscalls.mount("torrentnet", directory, "tmpfs", syscalls.NO_SUID | syscalls.NO_DEVICES, options)


def _mirror(source: str, target: str) -> None:
    if Path(source).is_symlink():
        Path(target).symlink_to(Path(source).readlink())
    elif Path(source).is_dir():
        # What this user may not see, the nodes may not see either.
        with contextlib.suppress(OSError):
            Path(target).mkdir()
            syscalls.mount(source, target, flags=syscalls.BIND | syscalls.RECURSIVE)
            with contextlib.suppress(OSError):
                syscalls.make_read_only(target)


def enter_sandbox(sandbox: Sandbox) -> None:
    """Enter a node's sandbox, as its first process."""
    syscalls.unshare(syscalls.NEW_MOUNTS | syscalls.NEW_NAMES)
    syscalls.set_host_name(sandbox.host_name)
    for target, source in sandbox.binds.items():
        syscalls.mount(source, sandbox.root + target, flags=syscalls.BIND)
        if target in sandbox.read_only:
            with contextlib.suppress(OSError):
                syscalls.make_read_only(sandbox.root + target)
    try:
        syscalls.mount(
            "proc", f"{sandbox.root}/proc", "proc", syscalls.NO_SUID | syscalls.NO_DEVICES | syscalls.NO_EXEC
        )
    except OSError:
        # Refused in a container that masks parts of its own /proc, which serves as well.
        syscalls.mount("/proc", f"{sandbox.root}/proc", flags=syscalls.BIND | syscalls.RECURSIVE)
    os.chroot(sandbox.root)
    if sandbox.network is not None:
        syscalls.setns(sandbox.network, syscalls.NEW_NETWORK)
