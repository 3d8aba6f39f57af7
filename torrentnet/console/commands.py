"""A program's commands: found by their words, explained by ``help``, answered line by line.

A command is a function from its arguments to lines. Lines go out while they come, so an answer may be longer than
memory.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias

from torrentnet.console.table import table
from torrentnet.console.words import join_words, split_partial, split_words
from torrentnet.runtime.options import EXIT_USAGE
from torrentnet.runtime.text import escape_controls

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
"""The command was understood and failed: no such file."""
MAX_COMPLETIONS: Final = 200
"""Candidates that completion offers at most."""
MAX_SHOWN_WORD: Final = 60
"""Characters of a wrong word that a message repeats."""
MIN_LIKENESS: Final = 0.6
"""From 0 to 1: how much of a wrong word must be right before another is suggested."""

CommandOutput: TypeAlias = Iterable[str]
"""What a command answers: lines of text without newlines, possibly made while they are read."""
RunCommand: TypeAlias = Callable[[list[str]], CommandOutput]
"""A command's work: the words after its own; raises :class:`CommandError`."""
CompleteArgument: TypeAlias = Callable[[list[str], str], Iterable[str]]
"""Candidates for a word: the complete words between the command's own and it, and the word as far as it is typed."""


class CommandError(Exception):
    """A command cannot be carried out. The message is a sentence for the user.

    *status* is what a shell sees: :data:`EXIT_FAILED` for a failed command, :data:`EXIT_USAGE` for wrong words.
    """

    def __init__(self, message: str, status: int = EXIT_FAILED) -> None:
        """Keeps *message* and *status* as attributes."""
        super().__init__(message)
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a program."""

    words: tuple[str, ...]
    """The words that call it: ``("request", "logs")``."""
    usage: str
    """Those words and what may follow: ``request logs [--last N]``."""
    summary: str
    """What it shows or does, in one line."""
    run: RunCommand
    complete: CompleteArgument | None = None
    details: str = ""
    """More lines for ``help WORDS``: options, units, an example."""
    own_terminal_only: bool = False
    """Refused when it comes from outside, over the socket."""
    outside_summary: str = ""
    """What ``help`` says of it outside, where that differs."""


class Commands:
    """The commands of one program, with ``help``, and ``quit`` where *on_quit* is given.

    *program* is tracker or peer; *name* is the node's own name and the prompt's (the program's where not given).
    Not to be changed any more once it is used from several threads.
    """

    def __init__(self, program: str, *, name: str | None = None, on_quit: Callable[[], None] | None = None) -> None:
        """*on_quit* is called by ``quit``, on whichever thread the command came in."""
        self.program = program
        self.name = name or program
        self.on_quit = on_quit
        self._commands: dict[tuple[str, ...], Command] = {}

    def add(self, command: Command) -> Commands:
        """Adds a command; gives itself back. Raises ValueError when its words are taken, or ``quit`` or ``help``."""
        if command.words in self._all():
            raise ValueError(f"the command {' '.join(command.words)!r} is there already")
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
        """Carries out one command and gives its exit status: 0, :data:`EXIT_FAILED` or :data:`EXIT_USAGE`.

        *line* is a line as typed, or its words. The answer goes to *out* line by line, a complaint to *err*, both
        without newlines and without characters that could act on a terminal. *outside* says that the command came over
        the socket. Never raises for a user's mistake, nor for a bug in a command; what *out* and *err* raise comes
        through.
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
                except Exception as error:  # a bug in one command must not end the node
                    err(escape_controls(f"error: the command failed inside: {type(error).__name__}: {error}"))
                    return EXIT_FAILED
                out(escape_controls(text))
        finally:
            close = getattr(lines, "close", None)
            if close is not None:
                close()

    def complete(self, text: str) -> list[str]:
        """Candidates for the last word of *text*, a line as far as it is typed: whole words, unquoted, sorted.

        Never raises, and gives :data:`MAX_COMPLETIONS` at most.
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
            except Exception:  # completion is a help, never a reason to lose the typed line
                return sorted(found)
        return sorted(found)[:MAX_COMPLETIONS]

    def _all(self) -> dict[tuple[str, ...], Command]:
        built_in = [
            Command(("help",), "help [WORDS]", "this list, or more about one command", self._help),
        ]
        if self.on_quit is not None:
            built_in.append(
                Command(
                    ("quit",),
                    "quit",
                    f"end this {self.program}",
                    self._quit,
                    own_terminal_only=True,
                    outside_summary=f"leave this console; the {self.program} goes on",
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
        asks_help = len(words) > 1 and words[-1] in {"--help", "-h"}
        if asks_help:
            words = ["help", *words[:-1]]
        command = self._find(words)
        if command is None:
            raise self._unknown(words)
        args = words[len(command.words) :]
        if command.words == ("help",):
            return self._help(args, outside=outside)
        if command.own_terminal_only and outside:
            raise CommandError(
                f"{' '.join(command.words)} is taken in the {self.program}'s own terminal only;"
                f" this {self.program} goes on (from outside, stop its process or its container)",
                EXIT_USAGE,
            )
        return command.run(args)

    def _unknown(self, words: list[str]) -> CommandError:
        typed = " ".join(words)
        longer = [" ".join(own) for own in self._all() if own[: len(words)] == tuple(words)]
        if longer:
            return CommandError(f"{_shown(typed)} is not complete: type {_either(longer)}", EXIT_USAGE)
        # Each command is held against as many of the typed words as it has itself: what follows are arguments.
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
            raise CommandError(f"quit takes no words: {_shown(join_words(args))}", EXIT_USAGE)
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
