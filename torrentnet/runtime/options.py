"""Common parts of the programs' command lines.

They are one-line errors, options, and parsers of arguments.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from torrentnet.runtime.events import LEVELS
from torrentnet.runtime.process import CONSOLE_VARIABLE, EXIT_USAGE
from torrentnet.wire.errors import LocalError, os_error_text

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class OptionParser(argparse.ArgumentParser):
    """Parser of options that reports a mistake in one line.

    argparse would print the whole usage first.
    """

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"{self.prog}: error: {message} (try {self.prog} --help)\n")


def add_console_options(add: Callable[..., object]) -> None:
    """Add the options of every program with a console.

    ``add`` is a parser's ``add_argument``.
    """
    add(
        "--console",
        metavar="PATH",
        default=os.environ.get(CONSOLE_VARIABLE),
        help=f"answer commands at this Unix socket too (default: ${CONSOLE_VARIABLE}, or none)",
    )
    add("--log-level", choices=LEVELS, default="info", help="event lines of this level and above (default: info)")


def argument_type(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Return ``parse`` as an argument's ``type`` that keeps the text of its errors.

    argparse hides the text of any error but its own.
    """

    def read(text: str) -> T:
        try:
            return parse(text)
        except (ValueError, LocalError) as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def file_content(parse: Callable[[bytes], T], wrong: type[Exception]) -> Callable[[str], T]:
    """Return a parser of an argument that is a file's path.

    The argument's value is what ``parse`` returns for the file's bytes. The parser raises ValueError with the path and
    the cause: the file cannot be read, or ``parse`` raised ``wrong``.
    """

    def read(text: str) -> T:
        try:
            return parse(Path(text).read_bytes())
        except OSError as error:
            raise ValueError(f"{text} cannot be read: {os_error_text(error)}") from None
        except wrong as error:
            raise ValueError(f"{text}: {error}") from None

    return read
