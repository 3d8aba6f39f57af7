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

from torrentnet.lab.engines.local import kernel

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA, FILES, RUN = "/data", "/files", "/run/torrentnet"
OWN = {"data", "files", "run", "proc"}
"""What a node does not see of the machine's root."""
LANGUAGE = "C.UTF-8"


@dataclass(frozen=True, slots=True)
class View:
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


def lay_root(root: str) -> None:
    """Put together, in a mount namespace of this process's own, what all nodes see.

    Raises OSError where that is not allowed.
    """
    kernel.unshare(kernel.NEW_MOUNTS)
    # Slave: what the machine unmounts later goes here too, and is not held.
    kernel.mount("", "/", flags=kernel.SLAVE | kernel.RECURSIVE)
    kernel.mount("torrentnet", root, "tmpfs", kernel.NO_SUID | kernel.NO_DEVICES, "size=1m,mode=0755")
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
    kernel.mount("proc", "/proc", "proc", kernel.NO_SUID | kernel.NO_DEVICES | kernel.NO_EXEC)


def _mirror(source: str, target: str) -> None:
    if Path(source).is_symlink():
        Path(target).symlink_to(Path(source).readlink())
    elif Path(source).is_dir():
        # A directory that this user may not see, another may not either.
        with contextlib.suppress(OSError):
            Path(target).mkdir()
            kernel.mount(source, target, flags=kernel.BIND | kernel.RECURSIVE)
            with contextlib.suppress(OSError):
                kernel.make_read_only(target)


def enter(view: View) -> None:
    """Enter the node's own view of files, as its first process."""
    kernel.unshare(kernel.NEW_MOUNTS | kernel.NEW_NAMES)
    kernel.set_host_name(view.host_name)
    for target, source in view.binds.items():
        kernel.mount(source, view.root + target, flags=kernel.BIND)
        if target in view.read_only:
            with contextlib.suppress(OSError):
                kernel.make_read_only(view.root + target)
    if view.disk is not None:
        kernel.mount(
            "torrentnet",
            view.root + DATA,
            "tmpfs",
            kernel.NO_SUID | kernel.NO_DEVICES,
            f"size={view.disk},mode=0755",
        )
    try:
        kernel.mount("proc", f"{view.root}/proc", "proc", kernel.NO_SUID | kernel.NO_DEVICES | kernel.NO_EXEC)
    except OSError:
        # In a container whose own /proc is covered in parts: the machine's serves as well.
        kernel.mount("/proc", f"{view.root}/proc", flags=kernel.BIND | kernel.RECURSIVE)
    os.chroot(view.root)
