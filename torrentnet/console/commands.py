"""Commands of a program, which a user types or sends over a socket.

Commands are named by words, explained by ``help``, completed and executed. A command is a function that returns lines
for its arguments. Each line is written at once, so an answer may be longer than memory.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

from torrentnet.console.table import table
from torrentnet.console.words import join_words, split_partial, split_words
from torrentnet.runtime.process import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from torrentnet.runtime.text import escape_controls

if TYPE_CHECKING:
    import socket

MAX_COMPLETIONS: Final = 200
"""Most candidates that completion returns."""
MAX_SHOWN_WORD: Final = 60
"""Characters of a wrong word that a message repeats."""
MIN_LIKENESS: Final = 0.6
"""From 0 to 1: the likeness from which a command is suggested in place of a wrong one."""

CommandOutput: TypeAlias = Iterable[str]
"""A command's lines of text without newlines, possibly made while they are read."""
RunCommand: TypeAlias = Callable[[list[str]], CommandOutput]
"""A command's function of the words after its own; raises :class:`CommandError`."""
CompleteArgument: TypeAlias = Callable[[list[str], str], Iterable[str]]
"""Candidates for a word, from the words between the command and it, and the word as far as it is typed."""


class CommandError(Exception):
    """Error of a command that cannot be executed.

    The message is for the user, *status* for the shell. :data:`EXIT_FAILED` stands for a failed command,
    :data:`EXIT_USAGE` for one that is not understood.
    """

    def __init__(self, message: str, status: int = EXIT_FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a program."""

    words: tuple[str, ...]
    """The words that name the command: ``("request", "logs")``."""
    usage: str
    """The words and what may follow them: ``request logs [--last N]``."""
    summary: str
    """What the command shows or does, in one line."""
    run: RunCommand
    complete: CompleteArgument | None = None
    details: str = ""
    """More lines for ``help WORDS``: options, units, an example."""
    own_terminal_only: bool = False
    """Whether the command is refused when it comes over the socket."""
    outside_summary: str = ""
    """The summary over the socket, if it differs."""


class Commands:
    """The commands of one program, with ``help``, and ``quit`` if *on_quit* is given.

    *program* is ``tracker`` or ``peer``; *name* is the node's own name and the prompt's. *on_quit* is called on the
    thread that the command came in on. Add all commands before several threads use them.
    """

    def __init__(self, program: str, *, name: str | None = None, on_quit: Callable[[], None] | None = None) -> None:
        self.program = program
        self.name = name or program
        self.on_quit = on_quit
        self.attach: Callable[[socket.socket], None] | None = None
        """Connect a person with the program's own terminal until either ends; None where there is no such terminal."""
        self._commands: dict[tuple[str, ...], Command] = {}

    def add(self, command: Command) -> Commands:
        """Add a command and return this object.

        Raises ValueError when another command has its words.
        """
        if command.words in self._all():
            raise ValueError(f"the command {' '.join(command.words)!r} exists already")
        self._commands[command.words] = command
        return self

    def execute(
        self,
        line: str | Iterable[str],
        out: Callable[[str], None],
        err: Callable[[str], None],
        *,
        outside: bool = False,
    ) -> int:
        """Execute one command and return its exit status.

        The status is 0, :data:`EXIT_FAILED` or :data:`EXIT_USAGE`. *line* is a line as typed, or its words. *out* gets
        the answer line by line, *err* an error message, both without newlines and without characters that could act on
        a terminal. *outside* says that the command came over the socket. Raises nothing for a user's mistake, nor for a
        bug in a command, but whatever *out* and *err* raise.
        """
        lines: Iterator[str] | None = None
        try:
            while True:
                try:
                    if lines is None:
                        lines = iter(self._start(line, outside=outside))
                    text = next(lines)
                except StopIteration:
                    return EXIT_OK
                except CommandError as error:
                    err(escape_controls(f"error: {error.message}"))
                    return error.status
                except Exception as error:  # A bug in one command must not end the node.
                    err(escape_controls(f"error: internal error of the command: {type(error).__name__}: {error}"))
                    return EXIT_FAILED
                out(escape_controls(text))
        finally:
            close = getattr(lines, "close", None)
            if close is not None:
                close()

    def complete(self, text: str) -> list[str]:
        """Return candidates for the last word of *text*, for completion.

        *text* is a line as far as it is typed. The candidates are unquoted and sorted. Never raises, and returns at
        most :data:`MAX_COMPLETIONS`.
        """
        words, word, _ = split_partial(text)
        if words[:1] == ["help"]:
            words = words[1:]
            return self._next_words(words, word)
        found = set(self._next_words(words, word))
        command = self._find(words)
        if command is not None and command.complete is not None:
            try:
                offered = command.complete(words[len(command.words) :], word)
                found |= set(islice((one for one in offered if one.startswith(word)), MAX_COMPLETIONS))
            except Exception:  # Completion is a convenience, never a reason to lose the typed line.
                return sorted(found)
        return sorted(found)[:MAX_COMPLETIONS]

    def _all(self) -> dict[tuple[str, ...], Command]:
        built_in = [Command(("help",), "help [WORDS]", "list the commands, or explain one", self._help)]
        if self.on_quit is not None:
            built_in.append(
                Command(
                    ("quit",),
                    "quit",
                    f"end this {self.program}",
                    self._quit,
                    own_terminal_only=True,
                    outside_summary=f"leave this console; the {self.program} keeps running",
                )
            )
        return {**self._commands, **{command.words: command for command in built_in}}

    def _find(self, words: list[str]) -> Command | None:
        known = self._all()
        for length in range(len(words), 0, -1):
            command = known.get(tuple(words[:length]))
            if command is not None:
                return command
        return None

    def _next_words(self, words: list[str], word: str) -> list[str]:
        count = len(words)
        return sorted(
            {
                own[count]
                for own in self._all()
                if own[:count] == tuple(words) and len(own) > count and own[count].startswith(word)
            }
        )

    def _start(self, line: str | Iterable[str], *, outside: bool) -> CommandOutput:
        try:
            words = split_words(line) if isinstance(line, str) else list(line)
        except ValueError as error:
            raise CommandError(f"{error}: {_shown(str(line))}", EXIT_USAGE) from None
        if not words:
            return ()
        if len(words) > 1 and words[-1] in {"--help", "-h"}:
            words = ["help", *words[:-1]]
        command = self._find(words)
        if command is None:
            raise self._unknown(words)
        args = words[len(command.words) :]
        if command.words == ("help",):
            return self._help(args, outside=outside)
        if command.own_terminal_only and outside:
            raise CommandError(
                f"{' '.join(command.words)} works only in the {self.program}'s own terminal;"
                f" from here, stop the {self.program}'s process or container",
                EXIT_USAGE,
            )
        return command.run(args)

    def _unknown(self, words: list[str]) -> CommandError:
        typed = " ".join(words)
        longer = [" ".join(own) for own in self._all() if own[: len(words)] == tuple(words)]
        if longer:
            return CommandError(f"{_shown(typed)} is not complete: type {_either(longer)}", EXIT_USAGE)
        # Compare each command with as many of the typed words as it has itself: the rest are arguments.
        likeness = {" ".join(own): _likeness(words[: len(own)], own) for own in self._all()}
        best = max(likeness, key=lambda name: likeness[name])
        hint = f'did you mean "{best}"?' if likeness[best] >= MIN_LIKENESS else "type help for the list"
        return CommandError(f"unknown command {_shown(typed)}: {hint}", EXIT_USAGE)

    def _help(self, args: list[str], *, outside: bool = False) -> Iterator[str]:
        known = self._all()
        chosen = [command for own, command in known.items() if own[: len(args)] == tuple(args)]
        exact = known.get(tuple(args))
        if not chosen:
            raise self._unknown(args)
        if args and (exact is not None or len(chosen) == 1):
            yield from _explained(exact or chosen[0], outside=outside)
            return
        yield from table((), ((command.usage, _summary(command, outside=outside)) for command in chosen))

    def _quit(self, args: list[str]) -> CommandOutput:
        if args:
            raise CommandError(f"quit takes no arguments: {_shown(join_words(args))}", EXIT_USAGE)
        if self.on_quit is not None:
            self.on_quit()
        return ()


def _likeness(typed: list[str], own: tuple[str, ...]) -> float:
    return difflib.SequenceMatcher(None, " ".join(typed)[:MAX_SHOWN_WORD], " ".join(own)).ratio()


def _summary(command: Command, *, outside: bool) -> str:
    return (command.outside_summary if outside else "") or command.summary


def _explained(command: Command, *, outside: bool) -> Iterator[str]:
    yield command.usage
    yield f"  {_summary(command, outside=outside)}"
    for line in command.details.splitlines():
        yield f"  {line}" if line else ""


def _shown(text: str) -> str:
    cut = text if len(text) <= MAX_SHOWN_WORD else text[: MAX_SHOWN_WORD - 1] + "…"
    return f'"{cut}"'


def _either(texts: list[str]) -> str:
    return " or ".join(f'"{text}"' for text in texts)
