"""The start of processes in nodes.

These processes see the node's sandbox, and end with the supervisor.

Tested by tests/unit/lab/engines/local/supervisor/test_preload.py.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.local.supervisor import cgroups, syscalls
from torrentnet.lab.engines.local.supervisor.sandbox_root import enter_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torrentnet.lab.engines.local.supervisor.preload import PreloadedProgram
    from torrentnet.lab.engines.local.supervisor.sandbox_root import Sandbox

NOT_STARTED: Final = 127
ERROR_LIMIT: Final = 4096
_ENTERED: Final = b"\0"
"""What a child writes once it is in its sandbox; an error message never begins with it."""
_SPACES: Final = (
    ("pid", syscalls.NEW_PROCESSES),
    ("mnt", syscalls.NEW_MOUNTS),
    ("uts", syscalls.NEW_NAMES),
    ("net", syscalls.NEW_NETWORK),
)


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process to start."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    streams: tuple[int, int, int]
    """Descriptors of standard input, output and error."""
    root: bool = False
    """Whether it keeps all capabilities."""
    preloaded: PreloadedProgram | None = None
    """The program itself, where this process has loaded it: then nothing is read from the disk."""
    limits: Mapping[int, int] = field(default_factory=dict)
    """Limits of the process, see setrlimit(2)."""
    cgroups: Sequence[str] = ()
    """Files that take the process into control groups."""
    capabilities: Sequence[int] = ()
    """Those that it keeps where it does not keep all."""
    observer: bool = False
    """Whether it is our observer.

    It keeps the rights to see its node's network, and hides itself from its own program: from this user, too.
    """


class Spawner:
    """Starts processes that end with this one. Needs a single thread."""

    def __init__(self) -> None:
        # Only this process keeps the writing end open.
        self._alive, self._alive_writer = os.pipe()
        self._processes = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._held: dict[int, dict[int, int]] = {}
        """Namespaces of the observers, by process id: later, they cannot be opened."""

    def start_node(self, process: ProcessSpec, sandbox: Sandbox) -> int:
        """Start a node's program, and return its process id.

        Raises OSError where the program cannot be started.
        """
        if not sandbox.root:
            return self._fork(process, sandbox.directory, lambda: None)
        syscalls.unshare(syscalls.NEW_PROCESSES)
        try:
            return self._fork(process, sandbox.directory, partial(enter_sandbox, sandbox))
        finally:
            syscalls.setns(self._processes, syscalls.NEW_PROCESSES)

    def start_command(self, process: ProcessSpec, node: int, sandbox: Sandbox) -> int:
        """Start a further program in a node, and return its process id.

        ``node`` is the process id of the node's own program. Raises OSError.
        """
        if not sandbox.root:
            return self._fork(process, sandbox.directory, lambda: None)
        held = self._held.get(node)
        spaces = held or _open_spaces(node)

        def enter() -> None:
            for kind in (syscalls.NEW_NETWORK, syscalls.NEW_NAMES, syscalls.NEW_MOUNTS):
                syscalls.setns(spaces[kind], kind)
            os.chroot(sandbox.root)

        try:
            syscalls.setns(spaces[syscalls.NEW_PROCESSES], syscalls.NEW_PROCESSES)
            return self._fork(process, sandbox.directory, enter)
        finally:
            syscalls.setns(self._processes, syscalls.NEW_PROCESSES)
            if held is None:
                _close(spaces)

    def start_beside(self, process: ProcessSpec) -> int:
        """Start a program in this process's own namespaces; return its process id.

        Raises OSError.
        """
        return self._fork(process, "/", lambda: None)

    def forget(self, node: int) -> None:
        """Release what is held of a node whose program has ended."""
        _close(self._held.pop(node, {}))

    def _fork(self, process: ProcessSpec, directory: str, enter: Callable[[], None]) -> int:
        """Fork, and return once the child has become the program."""
        reading, error_pipe = os.pipe()
        may_go, go = os.pipe() if process.observer else (-1, -1)

        def enter_and_wait() -> None:
            os.close(go)
            enter()
            os.write(error_pipe, _ENTERED)
            os.read(may_go, 1)

        child = os.fork()
        if child == 0:
            try:
                self._become(process, directory, enter_and_wait if process.observer else enter, error_pipe)
            except BaseException as error:
                with contextlib.suppress(OSError):
                    os.write(error_pipe, str(error).encode()[:ERROR_LIMIT])
            finally:
                os._exit(NOT_STARTED)
        os.close(error_pipe)
        with os.fdopen(reading, "rb") as stream:
            begun = self._hold(child, stream.read(1), may_go, go) if process.observer else b""
            message = begun + stream.read(ERROR_LIMIT)
        if message:
            os.waitpid(child, 0)
            raise OSError(message.decode("utf-8", "replace"))
        return child

    def _hold(self, child: int, first: bytes, may_go: int, go: int) -> bytes:
        """Open an observer's namespaces and let it go on.

        Returns ``first`` where it is an error message's first byte.
        """
        os.close(may_go)
        try:
            if first != _ENTERED:
                return first
            self._held[child] = _open_spaces(child)
            return b""
        except OSError:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise
        finally:
            os.close(go)

    def _become(self, process: ProcessSpec, directory: str, enter: Callable[[], None], error_pipe: int) -> None:
        os.close(self._alive_writer)
        cgroups.enter(process.cgroups)
        os.setsid()
        _end_with_parent(self._alive)
        enter()
        os.chdir(directory)
        # Duplicated first, so that none overwrites another.
        streams = [os.dup(descriptor) for descriptor in process.streams]
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number, inheritable=True)
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals():
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        for kind, most in process.limits.items():
            hard = resource.getrlimit(kind)[1]
            allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(kind, (allowed, allowed))
        if not process.root:
            syscalls.drop_privileges(syscalls.OBSERVER_CAPABILITIES if process.observer else process.capabilities)
        if process.preloaded is not None:
            process.preloaded.become(process.argv, process.environment, error_pipe)
        os.execvpe(process.argv[0], list(process.argv), dict(process.environment))


def _open_spaces(pid: int) -> dict[int, int]:
    """Return descriptors of a process's namespaces, by their kinds."""
    return {kind: os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name, kind in _SPACES}


def _close(spaces: Mapping[int, int]) -> None:
    for descriptor in spaces.values():
        os.close(descriptor)


def _end_with_parent(alive: int) -> None:
    """Make this process end with its parent.

    The parent holds the only other end of the pipe ``alive``.
    """
    syscalls.die_with_parent()
    poll = select.poll()
    poll.register(alive, select.POLLIN)
    if any(event & select.POLLHUP for _, event in poll.poll(0)):
        os._exit(NOT_STARTED)


def enter_namespaces(work: Callable[[], int]) -> int:
    """Call ``work`` as root in a new process namespace; return the exit status.

    The process that calls ``work`` is the namespace's first. An ordinary user becomes root in a user namespace.
    Whatever ``work`` has started ends with ``work``, and ``work`` ends with this process. Raises OSError where the
    kernel does not allow this.
    """
    if os.geteuid() != 0:
        syscalls.become_root()
    syscalls.unshare(syscalls.NEW_PROCESSES)
    alive, alive_writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(alive_writer)
        _end_with_parent(alive)
        return work()
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    # Whoever waits for the work to close a descriptor must not wait for this process, too.
    os.closerange(3, alive_writer)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os._exit(status if status >= 0 else 128 - status)
