"""Notice that the terminal, the session or the parent process of the lab has gone.

The kernel sends SIGHUP to the leader of a terminal's session only. Where that is not a shell that passes the signal on
(``make`` in ``ssh -t HOST make up``, an editor's task), and where a parent is killed without a terminal, nobody tells
the lab: it would run to its time limit, unseen. With SIGHUP ignored (``nohup``) the lab is meant to go on.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from typing import TYPE_CHECKING

from torrentnet.runtime.signals import block_signals

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def hangup_watch() -> Iterator[None]:
    """Send SIGHUP to this process when its terminal, leader or parent has gone."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        yield
        return
    with contextlib.ExitStack() as stack:
        watched = list(_open_watched())
        for descriptor in watched:
            stack.callback(os.close, descriptor)
        reading, writing = os.pipe()
        stack.callback(os.close, reading)
        thread = threading.Thread(target=_watch, args=(watched, reading), name="hang-up", daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(os.close, writing)
        yield


def _open_watched() -> Iterator[int]:
    """Open what is watched: descriptors that are ready once it has gone."""
    with contextlib.suppress(OSError):
        yield os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    # A parent that had gone before is process 1 now, or outside of this process namespace.
    for process in {os.getppid(), os.getsid(0)} - {0, 1, os.getpid()}:
        with contextlib.suppress(OSError, AttributeError):
            yield os.pidfd_open(process)


def _watch(watched: list[int], end: int) -> None:
    block_signals()
    poller = select.poll()
    # A terminal has input often, and a hang-up once: no event but the hang-up is asked for.
    for descriptor in watched:
        poller.register(descriptor, 0 if os.isatty(descriptor) else select.POLLIN)
    poller.register(end, select.POLLIN)
    if any(descriptor == end for descriptor, _ in poller.poll()):
        return
    os.kill(os.getpid(), signal.SIGHUP)
