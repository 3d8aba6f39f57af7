"""Our own commands, loaded once by the supervisor for all nodes.

Every node has these commands on its PATH.

A node that runs one of them is a fork of its supervisor, which has executed all their imports already: only what makes
it a node is left to do. A new interpreter would cost each node a tenth of a second of processor time, and ten megabytes
of memory that the forks share. :meth:`PreloadedProgram.become` sets up what a new interpreter would have: arguments,
environment, streams, signals, randomness and a name.

The programs are known by their files only: a file is executed as ``python3 FILE ...`` would do it.
"""

from __future__ import annotations

import atexit
import gc
import io
import os
import signal
import sys
import threading
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from torrentnet.lab.engines.local.supervisor import syscalls

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_CONSOLE: Final = "torrentnet/console/__main__.py"
COMMANDS: dict[str, tuple[str, ...]] = {
    "tracker.py": ("torrentnet/tracker/__main__.py",),
    "peer.py": ("torrentnet/peer/__main__.py",),
    "observe": ("torrentnet/adapters/observer/__main__.py",),
    "console": (_CONSOLE, "console"),
    "request": (_CONSOLE, "request"),
    "file_logs": (_CONSOLE, "file_logs"),
}
"""Command to the file that it runs, below the directory of our package, and its first arguments."""
PYTHON_OPTIONS: Final = ("-S", "-P")
"""Our programs need no site packages, and import nothing from the current directory."""
_LAUNCH: Final = """\
#!/bin/sh
# Every command of a node is a link to this file; the link's name says which program to run.
case ${0##*/} in
"""
_IGNORED: Final = (signal.SIGPIPE, signal.SIGXFSZ)
"""Signals that Python ignores at its start."""
_FAILED: Final = 1
_HIGHEST_DESCRIPTOR: Final = 1 << 20


def write_commands(directory: Path, root: Path) -> None:
    """Create a directory with all commands."""
    directory.mkdir(parents=True)
    launch = directory / "launch"
    text = _LAUNCH
    for name, (file, *words) in COMMANDS.items():
        start = [sys.executable, *PYTHON_OPTIONS, str(root / file), *words]
        text += f'{name}) exec {" ".join(map(_quoted, start))} "$@" ;;\n'
    launch.write_text(f"{text}esac\n", encoding="utf-8")
    launch.chmod(0o755)
    for name in COMMANDS:
        (directory / name).symlink_to(launch.name)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


@dataclass(frozen=True, slots=True)
class PreloadedProgram:
    """A program that is loaded and has not run yet."""

    file: str
    words: tuple[str, ...]
    code: types.CodeType

    def become(self, argv: Sequence[str], environment: Mapping[str, str], error_pipe: int) -> NoReturn:
        """Turn this process, a fork with its streams in place, into the program.

        Every other descriptor is closed, ``error_pipe`` last: from then on a failure is the program's own.
        """
        os.closerange(3, error_pipe)
        os.closerange(error_pipe + 1, _HIGHEST_DESCRIPTOR)
        keeps = (sys.stdin, sys.stdout, sys.stderr, sys.modules["__main__"])
        os.environ.clear()
        os.environ.update(environment)
        sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
        sys.argv = [self.file, *self.words, *argv[1:]]
        # As with PYTHONUNBUFFERED: a line is written before anything can happen to the process.
        streams = {
            "stdin": open(0, encoding="utf-8", errors="surrogateescape", closefd=False),  # noqa: SIM115
            "stdout": _unbuffered(1, "surrogateescape"),
            "stderr": _unbuffered(2, "backslashreplace"),
        }
        for name, stream in streams.items():
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        atexit._clear()
        module = types.ModuleType("__main__")
        module.__file__ = self.file
        sys.modules["__main__"] = module
        syscalls.set_title([*argv])
        os.close(error_pipe)
        status = _status(self.code, module)
        # Without the interpreter's own shutdown: the supervisor's objects hold descriptors that are closed here, and
        # perhaps open again as something else.
        del keeps
        os._exit(status)


def _unbuffered(descriptor: int, errors: str) -> io.TextIOWrapper:
    raw = io.FileIO(descriptor, "w", closefd=False)
    return io.TextIOWrapper(raw, encoding="utf-8", errors=errors, write_through=True)


def _status(code: types.CodeType, module: types.ModuleType) -> int:
    """Run the program to its end, with its threads, and return its exit status.

    The status is the one that Python would have.
    """
    status, by_signal = 0, False
    try:
        exec(code, module.__dict__)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            status = (end.code or 0) & 0xFF
        else:
            print(end.code, file=sys.stderr)
            status = _FAILED
    except BaseException as error:
        by_signal = isinstance(error, KeyboardInterrupt)
        status = 128 + signal.SIGINT if by_signal else _FAILED
        # Without the frame of this function.
        at = error.__traceback__ and error.__traceback__.tb_next
        sys.excepthook(type(error), error.with_traceback(at), at)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    if by_signal:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return status


def preload_programs(root: Path, names: Iterable[str] = COMMANDS) -> dict[str, PreloadedProgram]:
    """Load these commands with all that they import.

    A command that cannot be loaded is left out; running it reports why.

    Afterwards the process is ready to fork: its objects are frozen, because the garbage collector would touch, and so
    copy, all of them in each fork.
    """
    loaded: dict[str, PreloadedProgram] = {}
    for name in names:
        relative, *words = COMMANDS[name]
        file = root / relative
        try:
            code = compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
            # Under another name than __main__ the file only imports.
            exec(code, {"__name__": "loaded", "__file__": str(file)})
        except (Exception, SystemExit):
            continue
        loaded[name] = PreloadedProgram(str(file), tuple(words), code)
    gc.collect()
    gc.freeze()
    return loaded
