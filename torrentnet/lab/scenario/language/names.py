"""The names that a scenario gives: to itself, to nodes, events and files. Their uses decide what they may contain.

Tested by tests/unit/lab/scenario/test_wrong.py.
"""

from __future__ import annotations

import re
from typing import Final

from torrentnet.lab.scenario.language.errors import InvalidValueError
from torrentnet.wire.errors import InvalidNameError
from torrentnet.wire.names import check_file_name

NODE_NAME: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?")
SCENARIO_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


def parse_scenario_name(text: str) -> str:
    """Return a scenario's name, which its labs and run directories have too. Raises InvalidValueError."""
    if not SCENARIO_NAME.fullmatch(text):
        raise InvalidValueError(
            f"`{text}` cannot be the name of a scenario",
            "use lower-case letters, digits and `_`, a letter first, at most 40 in all: `killed_seed`",
        )
    return text


def parse_node_name(text: str) -> str:
    """Return a node's or group's name, which is also a host name and a Compose service. Raises InvalidValueError."""
    return _parse_name(text, "a node", "at most 40 in all: `seeder`")


def parse_event_name(text: str) -> str:
    """Return the name of an event of the timeline. Raises InvalidValueError."""
    return _parse_name(text, "an event", "at most 40 in all: `cable-cut`")


def _parse_name(text: str, owner: str, example: str) -> str:
    if not NODE_NAME.fullmatch(text):
        raise InvalidValueError(
            f"`{text}` cannot be the name of {owner}",
            f"use lower-case letters, digits and `-`, a letter first, {example}",
        )
    if text in {"all", "rest"}:
        raise InvalidValueError(f"`{text}` is a word of the language", "choose another name")
    return text


def parse_file_name(text: str) -> str:
    """Return a file's name: not a path, and nothing that a command line takes for an option.

    Raises InvalidValueError for any other text, by the rule of :func:`~torrentnet.wire.names.check_file_name`.
    """
    if "/" in text or "\\" in text:
        raise InvalidValueError(
            f"`{text}` is a path", "a file has a name without `/` and `\\`; `source:` says where its content is"
        )
    if text.startswith("-"):
        raise InvalidValueError(
            f"`{text}` would be taken for an option of the command line", "begin the name with another character"
        )
    try:
        return check_file_name(text)
    except InvalidNameError as error:
        raise InvalidValueError(error.message, error.hint) from None
