"""Command lines with placeholders, such as ``python3 tracker.py {ip}:{port}``.

A command line is split into words first, and the placeholders are filled afterwards. So no value can become two words,
whatever characters it has, and no shell ever reads a value.

Tested by tests/unit/lab/scenario/programs/test_command_template.py.
"""

from __future__ import annotations

import itertools
import re
import shlex
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.language.scalars import InvalidValueError
from torrentnet.runtime.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ARGS: Final = "args"
"""The placeholder that stands for any number of words: the node's ``args``."""
PLACEHOLDERS: Final = {
    "ip": "the address at which the node listens",
    "port": "the port at which the node listens",
    "listen": "both: `{ip}:{port}`",
    "listen_port": "the same as `{port}`",
    "tracker": "address and port of the tracker",
    "name": "the node's name",
    "dir": "the node's directory, in which the program runs",
    "file": "the name of the file that the node shares or gets",
    "torrent": "path of the file's .torrent; with `speaks: bittorrent`",
    ARGS: "the node's `args`",
}
_OF_EVERY_NODE: Final = ("ip", "port", "listen", "listen_port", "tracker", "name", "dir")
ROLE_PLACEHOLDERS: Final = {
    "tracker": _OF_EVERY_NODE,
    "share": (*_OF_EVERY_NODE, "file", "torrent"),
    "get": (*_OF_EVERY_NODE, "file", "torrent"),
    "run": (*_OF_EVERY_NODE, ARGS),
}
MAX_WORDS: Final = 200
_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")
_SHELL_WORD: Final = re.compile(r"[0-9]*(?:>>?|<<?)&?\S*|\|\|?|&&?|;")
_SHELLS: Final = frozenset({"sh", "bash", "dash", "ash", "zsh", "busybox"})


def split_command(text: str, role: str) -> tuple[str, ...]:
    """Return the words of a command line, whose placeholders are those of ``role``.

    Raises InvalidValueError for an empty text, an open quote, the notation of a shell, and a placeholder that a node of
    that role does not have.
    """
    try:
        words = tuple(shlex.split(text))
    except ValueError:
        raise InvalidValueError(f"`{text}` has an unclosed quote", "put a quote on both sides") from None
    if not words:
        raise InvalidValueError("the command line is empty", f"for example `{role}: {_EXAMPLES[role]}`")
    if len(words) > MAX_WORDS:
        raise InvalidValueError(f"the command line has {len(words)} words; at most {MAX_WORDS} are allowed")
    for word, source in zip(words, _sources(text, words), strict=True):
        _check_word(word, source, role)
    for before, script in itertools.pairwise(words):
        if words[0].rpartition("/")[2] in _SHELLS and before == "-c" and (found := _PLACEHOLDER.search(script)):
            raise InvalidValueError(
                f"the shell would read the value of `{found[0]}` as a part of its command",
                f"hand it over as an argument: `{words[0]} -c 'COMMAND \"$1\"' {words[0]} {found[0]}`",
            )
    return words


_EXAMPLES: Final = {
    "tracker": "python3 tracker.py {ip}:{port}",
    "share": "python3 peer.py share {file} {tracker} {listen}",
    "get": "python3 peer.py get {file} {tracker} {listen}",
    "run": "python3 server.py {port}",
}


def _sources(text: str, words: Sequence[str]) -> Sequence[str]:
    """Return each word as it was written.

    Quotes make an ordinary word of what would be a shell's operator.
    """
    written = shlex.split(text, posix=False)
    return written if len(written) == len(words) else words


def _check_word(word: str, source: str, role: str) -> None:
    if "\0" in word:
        raise InvalidValueError("the command line has a NUL character")
    if _SHELL_WORD.fullmatch(source):
        raise InvalidValueError(
            f"`{source}` is for a shell, and no shell reads this command line",
            f"leave it out, or write a script and name it here; {_OUTPUT}",
        )
    for name in _PLACEHOLDER.findall(word):
        if name in ROLE_PLACEHOLDERS[role]:
            continue
        shown = [f"{{{known}}}" for known in ROLE_PLACEHOLDERS[role]]
        if name in PLACEHOLDERS:
            why = "a tracker has no file" if role == "tracker" else "the node neither shares nor gets a file"
            why = f"only `run` has `{ARGS}`" if name == ARGS else why
            raise InvalidValueError(f"`{role}` has no placeholder `{{{name}}}`: {why}", f"it has {_listed(shown)}")
        raise InvalidValueError(f"unknown placeholder `{{{name}}}`", did_you_mean(f"{{{name}}}", shown, "there are"))
    if f"{{{ARGS}}}" in word and word != f"{{{ARGS}}}":
        raise InvalidValueError(f"`{{{ARGS}}}` stands for whole words, and `{word}` has more", "put a space around it")


_OUTPUT: Final = "what the program prints is in the node's log"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def placeholders_of(text: str) -> frozenset[str]:
    """Return the names of a command line's placeholders."""
    return frozenset(name for name in _PLACEHOLDER.findall(text) if name in PLACEHOLDERS)


def fill_command(text: str, values: Mapping[str, str], arguments: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the words of a command line with its placeholders filled.

    ``values`` are by the placeholders' names; a placeholder without a value stays as it is. ``arguments`` take the
    place of the word ``{args}``; without that word they are appended.
    """
    filled: list[str] = []
    for word in shlex.split(text):
        if word == f"{{{ARGS}}}":
            filled += arguments
        else:
            filled.append(_PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), word))
    return tuple(filled) if ARGS in placeholders_of(text) else (*filled, *arguments)
