"""What the programs' command lines have in common: one line for a mistake, and what is read out of an argument."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from torrentnet.console.commands import WRONG_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Parser(argparse.ArgumentParser):
    """One line for a mistake, where argparse would print the whole usage first."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_WORDS, f"{self.prog}: error: {message} (try {self.prog} --help)\n")


def typed(parse: Callable[[str], T]) -> Callable[[str], T]:
    """An argument's ``type`` for argparse, which shows the text of its own error alone and hides a ValueError's."""

    def read(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def content_of(parse: Callable[[bytes], T], wrong: type[Exception]) -> Callable[[str], T]:
    """An argument that is a file's path, and whose value is what ``parse`` makes of the file's bytes.

    The function raises ValueError with the path and the cause: the file cannot be read, or ``parse`` raised ``wrong``.
    """

    def read(text: str) -> T:
        try:
            return parse(Path(text).read_bytes())
        except OSError as error:
            raise ValueError(f"{text} cannot be read: {(error.strerror or str(error)).lower()}") from None
        except wrong as error:
            raise ValueError(f"{text}: {error}") from None

    return read
