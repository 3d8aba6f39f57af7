"""The names that a scenario gives: to itself, to nodes, events and files. What they become decides what they may be."""

from __future__ import annotations

import re

from torrentnet.lab.scenario.language.units import UnitError

MAX_FILE_NAME = 255
"""Bytes in UTF-8, as in any file system."""
NODE_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?")
SCENARIO_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def parse_scenario_name(text: str) -> str:
    """A scenario's name, which labs and directories are called by.

    Raises:
        UnitError: it cannot be one.
    """
    if not SCENARIO_NAME.fullmatch(text):
        raise UnitError(
            f"`{text}` is no name of a scenario",
            "small letters, digits and `_`, at most 40, a letter first: `killed_seed`",
        )
    return text


def parse_node_name(text: str) -> str:
    """A node's or group's name: it becomes a host name and a Compose service.

    Raises:
        UnitError: it cannot be one.
    """
    return _parse_name(text, "a node", "small letters, digits and `-`, at most 40, a letter first: `seeder`")


def parse_event_name(text: str) -> str:
    """The name of an event of the timeline, by which others are timed.

    Raises:
        UnitError: it cannot be one.
    """
    return _parse_name(text, "an event", "small letters, digits and `-`, a letter first: `cable-cut`")


def _parse_name(text: str, of: str, hint: str) -> str:
    if not NODE_NAME.fullmatch(text):
        raise UnitError(f"`{text}` cannot be the name of {of}", hint)
    if text in {"all", "rest"}:
        raise UnitError(f"`{text}` has a meaning of its own", "choose another name")
    return text


def parse_file_name(text: str) -> str:
    """A file's name: a single name, never a path.

    Raises:
        UnitError: a path, a control character, too long, or one that a command line takes for an option.
    """
    if not text or text in {".", ".."}:
        raise UnitError(f"`{text}` is no name of a file")
    if "/" in text or "\\" in text:
        raise UnitError(
            f"`{text}` is a path", "a file has a name without `/` and `\\`; use `source:` to take it from elsewhere"
        )
    if not text.isprintable():
        raise UnitError(f"`{text}` holds a character that cannot be printed")
    if text.startswith("-"):
        raise UnitError(
            f"`{text}` would be taken for an option of the command line", "let it begin with something else"
        )
    if len(text.encode()) > MAX_FILE_NAME:
        raise UnitError(f"the name is longer than {MAX_FILE_NAME} bytes")
    return text
