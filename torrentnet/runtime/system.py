"""The seam between a program and the machine that it runs on.

Programs reach the clock, the network, files, threads and randomness through one :class:`System`. A real process
gets :data:`MACHINE`; the simulation passes virtual ones, and the code between is the same. Functions that are called
for every datagram or block (``recv_into``, ``sendmsg``, ``pread``) belong to the sockets and descriptors that a
System returns, so that the seam costs nothing there.
"""

from __future__ import annotations

import fcntl
import os
import random
import secrets
import selectors
import socket
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class SystemThread(Protocol):
    """A thread that :attr:`System.start_thread` has started."""

    def join(self, timeout: float | None = None) -> None:
        """Wait at most ``timeout`` seconds until the thread ends."""
        ...

    def is_alive(self) -> bool:
        """Whether the thread is still running."""
        ...


def resolve_host(host: str) -> str:
    """Return the first IPv4 address of ``host``.

    Raises OSError or UnicodeError where there is none.
    """
    return str(socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_DGRAM)[0][4][0])


def lock_file(descriptor: int) -> None:
    """Lock an open file for this process alone.

    Raises BlockingIOError where another process has locked the file.
    """
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def read_socket_counter(sock: socket.socket, request: int) -> int:
    """Return a 32-bit number that the kernel keeps for a socket.

    ``request`` names the number, such as SIOCOUTQ (tcp(7)).
    """
    return int.from_bytes(fcntl.ioctl(sock, request, bytes(4)), sys.byteorder)


def start_thread(run: Callable[[], None], name: str) -> SystemThread:
    """Run ``run`` on a new daemon thread."""
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Everything that a program may ask of the machine.

    Every default is the real thing; a stand-in replaces what it needs to.
    """

    monotonic: Callable[[], float] = time.monotonic
    """Read a clock that never jumps, in seconds."""
    wall_time: Callable[[], float] = time.time
    """Read the time of day, in seconds since the epoch."""
    sleep: Callable[[float], None] = time.sleep
    """Wait for so many seconds."""
    make_selector: Callable[[], selectors.BaseSelector] = selectors.DefaultSelector
    """Make a selector for the sockets of this system."""
    make_socket: Callable[[int, int], socket.socket] = socket.socket
    """Make a socket of a family and a type (socket(7))."""
    make_socket_pair: Callable[[], tuple[socket.socket, socket.socket]] = socket.socketpair
    """Make two connected sockets, by which a thread wakes a loop."""
    resolve_host: Callable[[str], str] = resolve_host
    """Return the IPv4 address of a host's name."""
    send_file: Callable[[int, int, int, int], int] = os.sendfile
    """Send from a file: socket's descriptor, file's descriptor, offset, count (sendfile(2)); return the bytes sent."""
    socket_counter: Callable[[socket.socket, int], int] = read_socket_counter
    """Return a number that the kernel keeps for a socket, by its ioctl."""
    open_file: Callable[[str | os.PathLike[str], int, int], int] = os.open
    """Open a path with flags and a mode (open(2)); return the descriptor."""
    make_memory_file: Callable[[str], int] = os.memfd_create
    """Make a file that exists in memory only; return the descriptor."""
    lock_file: Callable[[int], None] = lock_file
    """Lock an open file for this process alone."""
    start_thread: Callable[[Callable[[], None], str], SystemThread] = start_thread
    """Run a function on a thread of its own that has this name."""
    make_random: Callable[[int | None], random.Random] = random.Random
    """Make a generator of random choices; with a seed, a repeatable one."""
    make_secret: Callable[[int], bytes] = secrets.token_bytes
    """Return so many bytes that nobody can guess."""


MACHINE: Final = System()
"""The real machine."""
