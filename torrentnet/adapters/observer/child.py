"""The program as a child on a pseudo-terminal, and the end of all its processes.

The child is forked while the observer has one thread only, and waits for :meth:`ProgramChild.release` before it
becomes the program.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
import signal
import struct
import termios
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from torrentnet.adapters.adapter import AdapterError
from torrentnet.adapters.observer.preparation import copy_file, copy_tree, write_torrent
from torrentnet.wire.errors import os_error_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torrentnet.adapters.observer.settings import ObserverSettings
    from torrentnet.runtime.system import System

COLUMNS: Final = 500
"""Of the terminal: so wide that a program does not fold its lines."""
ROWS: Final = 50
CHILD_PREFIX: Final = "TORRENTNET_CHILD_"
"""``TORRENTNET_CHILD_NAME=value`` in the observer's environment is the program's ``NAME``."""
NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
"""Exit statuses of a program that cannot be run, as in shells."""
KILL_TIMEOUT: Final = 5.0
KILL_POLL: Final = 0.01
OOM_SCORE: Final = "1000"
"""Of all processes in the container, the program's are killed first where memory runs out."""

_OURS: Final = ("TORRENTNET_", "PYTHON", "LD_")
_IGNORED_BY_PYTHON: Final = (signal.SIGPIPE, signal.SIGXFSZ)
_IFLAG, _OFLAG, _CFLAG, _LFLAG = range(4)
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NO_NEW_PRIVS: Final = 38
_CAPABILITY_VERSION: Final = 0x20080522
_FILE_RIGHTS: Final = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: root may read the files of another user."""
_FIRST_DESCRIPTOR: Final = 3
_HIGHEST_DESCRIPTOR: Final = 1 << 20
_MAX_REPORT: Final = 4096

_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def child_environment(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return the program's environment, made from the observer's.

    Left out is what concerns the observer and its interpreter; :data:`CHILD_PREFIX` marks what is for the program only.
    """
    kept = {key: value for key, value in environ.items() if not key.startswith(_OURS)}
    own = {key.removeprefix(CHILD_PREFIX): value for key, value in environ.items() if key.startswith(CHILD_PREFIX)}
    fixed = {"HOME": str(home), "TERM": "dumb", "COLUMNS": str(COLUMNS), "PYTHONDONTWRITEBYTECODE": "1"}
    return {"PATH": os.defpath, "LANG": "C.UTF-8", **kept, **fixed, **own}


class ProgramChild:
    """The program's main process, its terminal, and all that it starts.

    ``terminal`` is the descriptor of the terminal's other side. The child's ``report`` ends when the child has become
    the program, and has the reason if the child has failed.
    """

    def __init__(self, settings: ObserverSettings, environ: Mapping[str, str]) -> None:
        self.settings = settings
        self.terminal, self._slave = os.openpty()
        self.report, report = os.pipe2(os.O_CLOEXEC)
        go, self._go = os.pipe2(os.O_CLOEXEC)
        _set_up_terminal(self._slave)
        make_directory(settings.directory, settings.user)
        if settings.user is not None:
            with contextlib.suppress(OSError):
                os.fchown(self._slave, settings.user[0], -1)
        environment = child_environment(environ, settings.directory)
        if os.getpid() != 1:
            _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self.pid = os.fork()
        if self.pid == 0:
            _become_program(settings, environment, self._slave, go, report)
        os.close(report)
        os.close(go)
        os.set_blocking(self.terminal, False)
        if settings.user is None or settings.user[0] == os.geteuid():
            # With the same user, only this keeps the program from reading and tracing the observer.
            _prctl(_PR_SET_DUMPABLE, 0)
        self.status: int | None = None
        """Exit status; 128 and the signal's number for a program that was killed; None while the program runs."""

    def release(self) -> None:
        """Let the child become the program."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._go, b"\0")
        os.close(self._go)

    def failure(self) -> str:
        """Return why the child could not become the program; empty if it has.

        Blocks until one of both is known.
        """
        text = b""
        while part := os.read(self.report, _MAX_REPORT):
            text += part
        os.close(self.report)
        return text.decode("utf-8", "replace")

    def reap(self) -> int | None:
        """Collect ended processes; return the program's status if it has ended."""
        while True:
            try:
                pid, code = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid == self.pid:
                status = os.waitstatus_to_exitcode(code)
                self.status = status if status >= 0 else 128 - status
        return self.status

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process of the program."""
        for pid in descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def kill(self, system: System) -> None:
        """Kill every process of the program, however many it starts meanwhile."""
        deadline = system.monotonic() + KILL_TIMEOUT
        while system.monotonic() < deadline:
            if os.getpid() == 1:
                # Of a container's first process: all others, at once.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(-1, signal.SIGKILL)
            else:
                stopped: set[int] = set()
                # A stopped process starts no other one.
                while found := set(descendants(os.getpid())) - stopped:
                    _send(found, signal.SIGSTOP)
                    stopped |= found
                _send(stopped, signal.SIGKILL)
            self.reap()
            if not descendants(os.getpid()):
                return
            system.sleep(KILL_POLL)

    def close(self) -> None:
        """Close the terminal."""
        os.close(self.terminal)
        os.close(self._slave)


def _send(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def descendants(ancestor: int) -> list[int]:
    """Return the processes below a process: its children, their children and so on."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if not name.isdecimal():
            continue
        try:
            stat = Path("/proc", name, "stat").read_bytes()
        except OSError:
            continue
        # The command's name stands in parentheses and may hold any character.
        state, parent = stat[stat.rindex(b")") + 2 :].split()[:2]
        if state != b"Z":
            children.setdefault(int(parent), []).append(int(name))
    found: list[int] = []
    pending = [ancestor]
    while pending:
        new = children.pop(pending.pop(), [])
        found += new
        pending += new
    return found


def make_directory(directory: Path, user: tuple[int, int] | None) -> None:
    """Create the node's directory, and give it to the program's user.

    Raises :class:`AdapterError`.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if user is not None:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(descriptor).st_uid != user[0]:
                    os.fchown(descriptor, *user)
            finally:
                os.close(descriptor)
    except OSError as error:
        raise AdapterError(f"cannot prepare {directory}: {os_error_text(error)}") from None


def _set_up_terminal(terminal: int) -> None:
    modes = termios.tcgetattr(terminal)
    modes[_LFLAG] &= ~termios.ECHO
    modes[_OFLAG] &= ~termios.ONLCR
    termios.tcsetattr(terminal, termios.TCSANOW, modes)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))


def _become_program(
    settings: ObserverSettings, environment: Mapping[str, str], terminal: int, go: int, report: int
) -> NoReturn:
    """Turn this process, a fork of the observer, into the program."""
    status = NOT_EXECUTABLE
    try:
        _isolate(settings, terminal, keep=(go, report))
        _prepare(settings)
        if not os.read(go, 1):
            os._exit(status)
        for number in (*_IGNORED_BY_PYTHON, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execvpe(settings.argv[0], settings.argv, environment)
    except FileNotFoundError as error:
        status = NOT_FOUND
        _tell(report, f"cannot run {settings.argv[0]}: {os_error_text(error)}")
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _tell(report, f"cannot run {settings.argv[0]}: {os_error_text(error)}{where}")
    except BaseException as error:
        _tell(report, f"cannot run {settings.argv[0]}: {type(error).__name__}: {error}")
    finally:
        os._exit(status)


def _tell(report: int, text: str) -> None:
    os.write(report, text.encode("utf-8", "backslashreplace")[:_MAX_REPORT])


def _isolate(settings: ObserverSettings, terminal: int, *, keep: tuple[int, int]) -> None:
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for descriptor in range(_FIRST_DESCRIPTOR):
        os.dup2(terminal, descriptor)
    start = _FIRST_DESCRIPTOR
    for descriptor in sorted(keep):
        os.closerange(start, descriptor)
        start = descriptor + 1
    os.closerange(start, _HIGHEST_DESCRIPTOR)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE, encoding="ascii")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if settings.user is not None:
        uid, gid = settings.user
        # In a user namespace, the kernel may forbid it.
        with contextlib.suppress(PermissionError):
            os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _drop_rights()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.umask(0o022)


def _drop_rights() -> None:
    """Drop the observer's rights over the network.

    Without --user, a root still has them here. No program that this process executes can regain them.
    """
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    held = (ctypes.c_uint32 * 6)()
    if _libc.capget(header, held) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    kept = (ctypes.c_uint32 * 6)(held[0] & _FILE_RIGHTS, held[1] & _FILE_RIGHTS)
    if _libc.capset(header, kept) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _prepare(settings: ObserverSettings) -> None:
    os.chdir(settings.directory)
    if settings.program is not None:
        copy_tree(settings.program, settings.directory)
    folder = settings.directory / settings.files
    if settings.files:
        folder.mkdir(parents=True, exist_ok=True)
    if settings.share is not None and settings.wanted is not None:
        copy_file(settings.share, folder / settings.wanted.name)
    if settings.torrent is not None and settings.tracker is not None:
        write_torrent(settings.torrent, settings.directory, settings.tracker, settings.name)
