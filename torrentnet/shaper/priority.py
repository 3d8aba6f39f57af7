"""Real-time priority, so that the daemon wakes in time on a busy machine.

Tested by tests/integration/test_shaper_calibration.py.
"""

import contextlib
import os
from typing import Final

MOUNT_POINT: Final = b"/run/torrentnet"
"""A directory of the image, mounted over for a moment, in this process's mount namespace only."""
_CLONE_NEWNS: Final = 0x20000
_MS_REC_PRIVATE: Final = 0x44000
_MNT_DETACH: Final = 2
_NICEST: Final = -20


def raise_priority() -> str:
    """Raise this process's priority as far as allowed, and return the new priority.

    The process should run as soon as it wakes. Returns ``realtime``, ``high`` or ``normal``.

    A kernel with CONFIG_RT_GROUP_SCHED and cgroup v1 refuses real-time priority to containers. A process that
    leaves its container's cpu cgroup gets it; CAP_SYS_ADMIN permits that unless seccomp or AppArmor forbid it.
    """
    if _realtime():
        return "realtime"
    with contextlib.suppress(OSError):
        _leave_cpu_cgroup()
        if _realtime():
            return "realtime"
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _NICEST)
    except OSError:
        return "normal"
    return "high"


def _realtime() -> bool:
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        return False
    return True


def _leave_cpu_cgroup() -> None:
    import ctypes  # imported here only: it takes 10 ms

    libc = ctypes.CDLL(None, use_errno=True)

    def check(result: int) -> None:
        if result:
            raise OSError(ctypes.get_errno(), "the cpu cgroup cannot be changed")

    check(libc.unshare(_CLONE_NEWNS))
    check(libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC_PRIVATE), None))
    check(libc.mount(b"none", MOUNT_POINT, b"cgroup", ctypes.c_ulong(0), b"cpu"))
    try:
        with open(MOUNT_POINT + b"/tasks", "w", encoding="ascii") as tasks:
            tasks.write(str(os.getpid()))
    finally:
        libc.umount2(MOUNT_POINT, _MNT_DETACH)
