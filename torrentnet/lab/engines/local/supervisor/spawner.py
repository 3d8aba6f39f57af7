"""A process in a node: with the node's view (see ``view``), streams of its own, and the keeper's end as its own."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.lab.engines.local.supervisor import syscalls
from torrentnet.lab.engines.local.supervisor.sandbox_root import enter_sandbox as enter_view

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torrentnet.lab.engines.local.supervisor.preload import PreloadedProgram
    from torrentnet.lab.engines.local.supervisor.sandbox_root import Sandbox

NOT_STARTED = 127
ERROR_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """What to run."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    streams: tuple[int, int, int]
    """Descriptors of its standard input, output and error."""
    root: bool = False
    """Whether it keeps all capabilities that there are."""
    loaded: PreloadedProgram | None = None
    """The program itself, where this process has it already: then nothing is read from the disk."""


class Spawner:
    """Makes processes that end with this one. Needs a single thread."""

    def __init__(self) -> None:
        # Its writing end is open as long as this process lives, and nobody else keeps it.
        self._alive, self._hold = os.pipe()
        self._processes = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)

    def node(self, program: ProcessSpec, view: Sandbox) -> int:
        """Start a node's program; answers with its process id. Raises OSError where it cannot be run."""

        def enter() -> None:
            if view.root:
                enter_view(view)
            if view.network is not None:
                syscalls.setns(view.network, syscalls.NEW_NETWORK)

        if not view.root:
            return self._fork(program, view.directory, enter)
        syscalls.unshare(syscalls.NEW_PROCESSES)
        try:
            return self._fork(program, view.directory, enter)
        finally:
            syscalls.setns(self._processes, syscalls.NEW_PROCESSES)

    def beside(self, program: ProcessSpec, node: int, view: Sandbox) -> int:
        """Start a program in the node whose own program has this process id. Raises OSError."""
        if not view.root:
            return self._fork(program, view.directory, lambda: None)
        spaces = {
            kind: os.open(f"/proc/{node}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
            for name, kind in (
                ("pid", syscalls.NEW_PROCESSES),
                ("mnt", syscalls.NEW_MOUNTS),
                ("uts", syscalls.NEW_NAMES),
                ("net", syscalls.NEW_NETWORK),
            )
        }

        def enter() -> None:
            for kind in (syscalls.NEW_NETWORK, syscalls.NEW_NAMES, syscalls.NEW_MOUNTS):
                syscalls.setns(spaces[kind], kind)
            os.chroot(view.root)

        try:
            syscalls.setns(spaces[syscalls.NEW_PROCESSES], syscalls.NEW_PROCESSES)
            return self._fork(program, view.directory, enter)
        finally:
            syscalls.setns(self._processes, syscalls.NEW_PROCESSES)
            for descriptor in spaces.values():
                os.close(descriptor)

    def _fork(self, program: ProcessSpec, directory: str, enter: Callable[[], None]) -> int:
        """Fork, and answer once the program has taken the child's place."""
        heard, tell = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                self._become(program, directory, enter, tell)
            except BaseException as error:
                with contextlib.suppress(OSError):
                    os.write(tell, str(error).encode()[:ERROR_LIMIT])
            finally:
                os._exit(NOT_STARTED)
        os.close(tell)
        with os.fdopen(heard, "rb") as answer:
            said = answer.read(ERROR_LIMIT)
        if said:
            os.waitpid(child, 0)
            raise OSError(said.decode("utf-8", "replace"))
        return child

    def _become(self, program: ProcessSpec, directory: str, enter: Callable[[], None], tell: int) -> None:
        os.close(self._hold)
        os.setsid()
        syscalls.die_with_parent()
        if any(event & select.POLLHUP for _, event in _poll(self._alive)):
            os._exit(NOT_STARTED)
        enter()
        os.chdir(directory)
        # First out of the way of one another.
        streams = [os.dup(descriptor) for descriptor in program.streams]
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number, inheritable=True)
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals():
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        if not program.root:
            syscalls.drop_privileges()
        if program.loaded is not None:
            program.loaded.become(program.argv, program.environment, tell)
        os.execvpe(program.argv[0], list(program.argv), dict(program.environment))


def _poll(descriptor: int) -> list[tuple[int, int]]:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return poll.poll(0)


def enter_namespaces(work: Callable[[], int]) -> int:
    """Do the work as root, and as the first process of a process namespace; answers with its exit status.

    An ordinary user becomes root in a user namespace. Whatever the work has started ends with it, and it ends with
    this process. Raises OSError where that is not allowed.
    """
    if os.geteuid() != 0:
        syscalls.become_root()
    syscalls.unshare(syscalls.NEW_PROCESSES)
    alive, hold = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(hold)
        syscalls.die_with_parent()
        if any(event & select.POLLHUP for _, event in _poll(alive)):
            os._exit(NOT_STARTED)
        return work()
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    # Whoever waits for the work to close what it was given waits for the work alone.
    os.closerange(3, hold)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os._exit(status if status >= 0 else 128 - status)
