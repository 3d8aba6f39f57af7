"""Our own commands, which every node has on its PATH: what they are, and what the keeper has loaded of them.

A node that runs one of them is a fork of its keeper, which has read and run all their imports already: what is left
to do for a node is what makes it a node. Python alone would take a tenth of a second of a processor for each of them,
and ten megabytes of memory that now they share. A forked node is a process as any other; :meth:`Loaded.become` gives
it by hand what a new interpreter would have: arguments, environment, streams, signals, randomness and a name.

The lab knows these programs by their files' names: the file is run as ``python3 FILE ...`` would run it.
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
from typing import TYPE_CHECKING, NoReturn

from torrentnet.lab.engines.local.supervisor import syscalls

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_CONSOLE = "torrentnet/console/__main__.py"
COMMANDS: dict[str, tuple[str, ...]] = {
    "tracker.py": ("torrentnet/tracker/__main__.py",),
    "peer.py": ("torrentnet/peer/__main__.py",),
    "console": (_CONSOLE, "console"),
    "request": (_CONSOLE, "request"),
    "file_logs": (_CONSOLE, "file_logs"),
}
"""Command -> the file that it runs, below the directory of our package, and the words that come before its own."""
PYTHON_OPTIONS = ("-S", "-P")
"""Of the interpreter: our programs need no site packages, and take nothing from where they happen to be."""
_LAUNCH = """\
#!/bin/sh
# Every command of a node is a link to this file; its own name says which one is meant.
case ${0##*/} in
"""
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)
"""By Python's own interpreter at its start."""
_FAILED = 1
_HIGHEST_DESCRIPTOR = 1 << 20


def write_commands(directory: Path, root: Path) -> None:
    """Make the directory that holds them."""
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
    """A program that waits to be run."""

    file: str
    words: tuple[str, ...]
    code: types.CodeType

    def become(self, argv: Sequence[str], environment: Mapping[str, str], tell: int) -> NoReturn:
        """Be this program from now on, in a process that was forked for it; the streams are in place.

        Every other descriptor is closed, ``tell`` as the last one: from then on what goes wrong is the program's.
        """
        os.closerange(3, tell)
        os.closerange(tell + 1, _HIGHEST_DESCRIPTOR)
        keeps = (sys.stdin, sys.stdout, sys.stderr, sys.modules["__main__"])
        os.environ.clear()
        os.environ.update(environment)
        sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
        sys.argv = [self.file, *self.words, *argv[1:]]
        # As with PYTHONUNBUFFERED: a line is out before anything can happen to its writer.
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
        os.close(tell)
        status = _status(self.code, module)
        # Not through the interpreter's end, which is the keeper's: its objects hold descriptors that are closed, and
        # perhaps open again as something else.
        del keeps
        os._exit(status)


def _unbuffered(descriptor: int, errors: str) -> io.TextIOWrapper:
    raw = io.FileIO(descriptor, "w", closefd=False)
    return io.TextIOWrapper(raw, encoding="utf-8", errors=errors, write_through=True)


def _status(code: types.CodeType, module: types.ModuleType) -> int:
    """Run the program to its end, threads and all; answers with the exit status that Python would end with."""
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
        # From the program's own first line on.
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
    """Load what the commands of these names import. One that cannot be loaded is left out: it says why when it is run.

    Afterwards the process is ready to be forked: what there is of it is out of the garbage collector's sight, which
    would else touch, and so copy, all of it in each of the forks.
    """
    found: dict[str, PreloadedProgram] = {}
    for name in names:
        relative, *words = COMMANDS[name]
        file = root / relative
        try:
            code = compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
            # Under any other name than __main__ it only imports.
            exec(code, {"__name__": "loaded", "__file__": str(file)})
        except (Exception, SystemExit):
            continue
        found[name] = PreloadedProgram(str(file), tuple(words), code)
    gc.collect()
    gc.freeze()
    return found
