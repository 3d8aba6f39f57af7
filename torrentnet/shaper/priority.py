"""Being woken in time on a machine whose processors are all busy."""

import contextlib
import os

MOUNT_POINT = b"/run/torrentnet"
"""A directory that the image has, covered for a moment, and for this process only."""
_CLONE_NEWNS = 0x20000
_MS_REC_PRIVATE = 0x44000
_MNT_DETACH = 2
_NICEST = -20


def raise_priority() -> str:
    """Lets this process run as soon as it wakes, as far as it may: realtime, high, or normal.

    A kernel with CONFIG_RT_GROUP_SCHED and cgroup v1 gives real time to no container, but to a process that leaves its
    container's share of the processors, which CAP_SYS_ADMIN allows unless seccomp or AppArmor forbid it.
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
    import ctypes  # only where it is needed: it takes 10 ms

    libc = ctypes.CDLL(None, use_errno=True)

    def check(result: int) -> None:
        if result:
            raise OSError(ctypes.get_errno(), "the processors' cgroup is out of reach")

    check(libc.unshare(_CLONE_NEWNS))
    check(libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC_PRIVATE), None))
    check(libc.mount(b"none", MOUNT_POINT, b"cgroup", ctypes.c_ulong(0), b"cpu"))
    try:
        with open(MOUNT_POINT + b"/tasks", "w", encoding="ascii") as tasks:
            tasks.write(str(os.getpid()))
    finally:
        libc.umount2(MOUNT_POINT, _MNT_DETACH)
