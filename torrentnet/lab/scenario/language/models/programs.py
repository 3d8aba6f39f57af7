"""``programs:``, and the same keys in the ``torrentnet.yaml`` of a program.

Tested by tests/unit/lab/scenario/test_wrong.py.
"""

import re
from functools import partial
from pathlib import PurePosixPath
from typing import Annotated, Final

from pydantic import Field, WithJsonSchema

from torrentnet.lab.scenario.language.models.values import (
    Duration,
    StrictModel,
    TextLine,
    one_of,
    text_validator,
    value_validator,
)
from torrentnet.lab.scenario.language.scalars import InvalidValueError, format_duration
from torrentnet.lab.scenario.plan.program import READY_TIMEOUT, Addresses
from torrentnet.lab.scenario.programs.command_template import split_command

BITTORRENT: Final = "bittorrent"
ROLES: Final = ("tracker", "share", "get", "run")
"""Keys of a program's command lines."""
_IMAGE: Final = re.compile(r"[a-z0-9][A-Za-z0-9._/:@-]{0,254}")
MAX_SCRIPT: Final = 10_000
"""Characters of a build step."""


def check_image(text: str) -> str:
    """Return the name of a Docker image. Raises InvalidValueError."""
    if not _IMAGE.fullmatch(text):
        raise InvalidValueError(f"`{text}` is not the name of an image", "for example `example/client:2.0`")
    return text


def _inner_path(text: str) -> str:
    """Return a path below the program's folder. Raises InvalidValueError."""
    path = PurePosixPath(text)
    if not text.isprintable() or "\\" in text:
        raise InvalidValueError(f"`{text}` is not a path", "separate folders by `/`")
    if path.is_absolute() or ".." in path.parts or text.startswith("-") or not path.parts:
        raise InvalidValueError(f"`{text}` is not inside the program's folder", "write it relative to that folder")
    return str(path)


def _script(text: str) -> str:
    if not text.strip():
        raise InvalidValueError("the text is empty")
    if len(text) > MAX_SCRIPT or any(not (char.isprintable() or char in "\n\t") for char in text):
        raise InvalidValueError("the step is no text of a shell", "put it into a script, and name that here")
    return text


def _says(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise InvalidValueError("expected commands with the program's own words", _SAYS_HINT)
    for command, words in value.items():
        if not isinstance(words, str) or not words.strip() or not words.isprintable():
            raise InvalidValueError(f"the words for `{command}` are not a line of text", _SAYS_HINT)
        if not command.strip() or "=" in command or not command.isprintable():
            raise InvalidValueError(f"`{command}` cannot be a command", _SAYS_HINT)
    return tuple((" ".join(command.split()), words) for command, words in value.items())


_SAYS_HINT: Final = "for example `says: {request logs: all logs}`"
_SHELL_TEXT: Final = WithJsonSchema({"type": "string", "minLength": 1})


def _command_line(role: str, text: str) -> str:
    split_command(text, role)
    return text


TrackerCommand = Annotated[str, text_validator(partial(_command_line, "tracker"), "a command line"), _SHELL_TEXT]
ShareCommand = Annotated[str, text_validator(partial(_command_line, "share"), "a command line"), _SHELL_TEXT]
GetCommand = Annotated[str, text_validator(partial(_command_line, "get"), "a command line"), _SHELL_TEXT]
RunCommand = Annotated[str, text_validator(partial(_command_line, "run"), "a command line"), _SHELL_TEXT]
ImageName = Annotated[
    str, text_validator(check_image, "the name of an image"), WithJsonSchema({"type": "string", "minLength": 1})
]
InnerPath = Annotated[str, text_validator(_inner_path, "a path"), WithJsonSchema({"type": "string", "minLength": 1})]
Script = Annotated[str, text_validator(_script, "a shell command"), _SHELL_TEXT]
OwnWords = Annotated[
    tuple[tuple[str, str], ...],
    value_validator(_says),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "string", "minLength": 1}}),
]


class ManifestModel(StrictModel):
    """How a program is started: the keys of a ``torrentnet.yaml``."""

    image: ImageName | None = Field(None, description="the Docker image that it runs in; by default one with Python")
    tracker: TrackerCommand | None = Field(
        None, description="command line as the tracker, `python3 tracker.py {ip}:{port}`"
    )
    share: ShareCommand | None = Field(
        None, description="command line that shares a file, `python3 peer.py share {file} {tracker} {listen}`"
    )
    get: GetCommand | None = Field(
        None, description="command line that gets a file, `python3 peer.py get {file} {tracker} {listen}`"
    )
    run: RunCommand | None = Field(
        None, description="command line of a node without a role, `python3 server.py {port}`"
    )
    files: InnerPath | None = Field(
        None, description="the folder, below the one that it runs in, where it keeps what it shares and gets"
    )
    says: OwnWords | None = Field(None, description="commands of the console, with the program's own words for them")
    ready: Duration | None = Field(
        None,
        description="time in which its sockets must appear",
        json_schema_extra={"default": format_duration(READY_TIMEOUT)},
    )
    addresses: Annotated[str, one_of(*map(str, Addresses))] | None = Field(
        None,
        description="the addresses that it is given: `machine` for 127.0.0.1 with a port for each node, `real` for the "
        "nodes' own; `machine` by default for a program with a path, `real` for an image",
    )
    speaks: Annotated[str, one_of(BITTORRENT)] | None = Field(
        None, description="`bittorrent`: it speaks BitTorrent's protocols, and receives a .torrent"
    )
    build: Script | None = Field(None, description="shell command that is run once in its folder")
    install: InnerPath | None = Field(None, description="a file of requirements for pip, such as `requirements.txt`")


class ProgramModel(ManifestModel):
    """A program that the scenario brings along."""

    path: TextLine | None = Field(
        None, description="its folder, zip or tar, relative to the scenario file; see `torrentnet inspect`"
    )
