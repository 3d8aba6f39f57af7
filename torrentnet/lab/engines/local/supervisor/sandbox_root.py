"""What a node sees of the machine: its files, its name, its network.

A node with namespaces sees ``/data``, ``/files`` and ``/run/torrentnet`` as a node in a container does, and everything
else of the machine as it is, but for reading only. A node on the loopback interface sees the machine.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from torrentnet.lab.engines.local.supervisor import syscalls

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA, FILES, RUN = "/data", "/files", "/run/torrentnet"
OWN = {"data", "files", "run", "proc"}
"""What a node does not see of the machine's root."""
LANGUAGE = "C.UTF-8"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a node's own program sees. Everything is None or empty on the loopback interface."""

    directory: str
    """Where it works, as itself sees it."""
    root: str = ""
    """Where its file system has been put together."""
    binds: Mapping[str, str] = field(default_factory=dict)
    """What is seen where in it."""
    read_only: tuple[str, ...] = ()
    disk: int | None = None
    """Bytes of a file system in memory at :data:`DATA`."""
    host_name: str = ""
    network: int | None = None
    """Descriptor of its network namespace."""


def build_root(root: str) -> None:
    """Put together, in a mount namespace of this process's own, what all nodes see.

    Raises OSError where that is not allowed.
    """
    syscalls.unshare(syscalls.NEW_MOUNTS)
    # Slave: what the machine unmounts later goes here too, and is not held.
    syscalls.mount("", "/", flags=syscalls.SLAVE | syscalls.RECURSIVE)
    syscalls.mount("torrentnet", root, "tmpfs", syscalls.NO_SUID | syscalls.NO_DEVICES, "size=1m,mode=0755")
    for name in ("data", "files", "run", "proc"):
        Path(root, name).mkdir()
    # The part that holds this very root comes first, while there is nothing in it to be mounted twice.
    mine = Path(root).parts[1]
    for name in sorted(set(os.listdir("/")) - OWN, key=lambda name: (name != mine, name)):
        _mirror(f"/{name}", f"{root}/{name}")
    for name in sorted(set(os.listdir("/run")) - {Path(RUN).name}):
        _mirror(f"/run/{name}", f"{root}/run/{name}")
    Path(root + RUN).mkdir()
    # With the numbers that processes have here.
    syscalls.mount("proc", "/proc", "proc", syscalls.NO_SUID | syscalls.NO_DEVICES | syscalls.NO_EXEC)


def _mirror(source: str, target: str) -> None:
    if Path(source).is_symlink():
        Path(target).symlink_to(Path(source).readlink())
    elif Path(source).is_dir():
        # A directory that this user may not see, another may not either.
        with contextlib.suppress(OSError):
            Path(target).mkdir()
            syscalls.mount(source, target, flags=syscalls.BIND | syscalls.RECURSIVE)
            with contextlib.suppress(OSError):
                syscalls.make_read_only(target)


def enter_sandbox(view: Sandbox) -> None:
    """Enter the node's own view of files, as its first process."""
    syscalls.unshare(syscalls.NEW_MOUNTS | syscalls.NEW_NAMES)
    syscalls.set_host_name(view.host_name)
    for target, source in view.binds.items():
        syscalls.mount(source, view.root + target, flags=syscalls.BIND)
        if target in view.read_only:
            with contextlib.suppress(OSError):
                syscalls.make_read_only(view.root + target)
    if view.disk is not None:
        syscalls.mount(
            "torrentnet",
            view.root + DATA,
            "tmpfs",
            syscalls.NO_SUID | syscalls.NO_DEVICES,
            f"size={view.disk},mode=0755",
        )
    try:
        syscalls.mount("proc", f"{view.root}/proc", "proc", syscalls.NO_SUID | syscalls.NO_DEVICES | syscalls.NO_EXEC)
    except OSError:
        # In a container whose own /proc is covered in parts: the machine's serves as well.
        syscalls.mount("/proc", f"{view.root}/proc", flags=syscalls.BIND | syscalls.RECURSIVE)
    os.chroot(view.root)
