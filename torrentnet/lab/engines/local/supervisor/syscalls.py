"""System calls of Linux that Python 3.11 does not have.

Each is a function that raises OSError. See unshare(2), setns(2), mount(2), mount_setattr(2), prctl(2), capset(2),
capabilities(7).

Tested by tests/integration/test_local_engine.py.
"""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NEW_MOUNTS: Final = 0x00020000
NEW_NAMES: Final = 0x04000000
NEW_USERS: Final = 0x10000000
NEW_PROCESSES: Final = 0x20000000
NEW_NETWORK: Final = 0x40000000

READ_ONLY, NO_SUID, NO_DEVICES, NO_EXEC = 1, 2, 4, 8
BIND, RECURSIVE, SLAVE = 1 << 12, 1 << 14, 1 << 19

_MOUNT_SETATTR: Final = 442
"""The same number on every architecture, like that of all system calls since Linux 5.1."""
_AT_RECURSIVE: Final = 0x8000
_AT_FDCWD: Final = -100
_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 15, 24, 38
_CAPABILITY_VERSION: Final = 0x20080522
_KEPT_CAPABILITIES: Final = {1, 2}
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: root must read a checkout of another user."""
OBSERVER_CAPABILITIES: Final = (12, 13)
"""CAP_NET_ADMIN and CAP_NET_RAW: our observer sees its node's packets and connections."""
SNIFFER_CAPABILITIES: Final = (13,)
"""CAP_NET_RAW."""
_MOST_CAPABILITIES: Final = 64

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "users")]


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Create namespaces for this process; a process namespace applies to its children."""
    _call("unshare", flags)


def setns(descriptor: int, kind: int = 0) -> None:
    """Enter a namespace; a process namespace applies to the children."""
    _call("setns", descriptor, kind)


def become_root() -> None:
    """Enter a new user namespace in which this user is root. Needs a single thread."""
    user, group = os.geteuid(), os.getegid()
    unshare(NEW_USERS)
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1", encoding="ascii")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount a file system, or a directory with BIND."""
    words = [os.fsencode(word) or None for word in (source, target, kind)]
    _call("mount", *words, ctypes.c_ulong(flags), os.fsencode(options) or None)


def make_read_only(target: str) -> None:
    """Make a mount and everything mounted below it read-only. Needs Linux 5.12."""
    wanted = _MountAttributes(set=READ_ONLY)
    _call(
        "syscall",
        ctypes.c_long(_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        os.fsencode(target),
        ctypes.c_uint(_AT_RECURSIVE),
        ctypes.byref(wanted),
        ctypes.c_size_t(ctypes.sizeof(wanted)),
    )


def set_host_name(name: str) -> None:
    """Set the host name of the present UTS namespace."""
    _call("sethostname", name.encode(), ctypes.c_size_t(len(name.encode())))


def die_with_parent() -> None:
    """Make the kernel kill this process when its parent ends.

    A parent that has ended already is not noticed.
    """
    _call("prctl", _PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)


def drop_privileges(keep: Iterable[int] = ()) -> None:
    """Drop, for good, the rights to change the network, to mount and to trace.

    The process cannot regain these rights, even as root. ``keep`` are capabilities that it keeps.
    """
    kept_capabilities = _KEPT_CAPABILITIES.union(keep)
    _call("prctl", _PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
    for capability in sorted(set(range(_MOST_CAPABILITIES)) - kept_capabilities):
        try:
            _call("prctl", _PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0)
        except OSError:
            # EPERM: an ordinary user has none to drop. EINVAL: the kernel has no further capability.
            break
    # The bounding set limits programs that are executed later; this limits the present one.
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    held = (ctypes.c_uint32 * 6)()
    _call("capget", header, held)
    kept = sum(1 << capability for capability in kept_capabilities)
    effective, permitted = held[0] & kept, held[1] & kept
    _call("capset", header, (ctypes.c_uint32 * 6)(effective, permitted, 0, 0, 0, 0))


def set_title(words: Sequence[str]) -> None:
    """Show these words as this process's command line in ps(1).

    Text that does not fit in the place of the original command line is cut off.
    """
    _call("prctl", _PR_SET_NAME, os.fsencode(words[0])[:15], 0, 0, 0)
    # proc(5): of all fields of the file these are the 48th to the 51st; the first two end with the parenthesis.
    fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    start, end, next_start, next_end = map(int, fields[45:49])
    if not 0 < start < end:
        return
    title = b"".join(os.fsencode(word) + b"\0" for word in words)
    if len(title) > end - start:
        # As setproctitle(3): a last byte that is not 0 tells the kernel that the line goes on behind the original.
        most = (next_end if next_start == end else end) - start
        title = title[:-1].replace(b"\0", b" ")[: most - 1] + b"\0"
    ctypes.memmove(start, title.ljust(end - start, b"\0"), max(len(title), end - start))
