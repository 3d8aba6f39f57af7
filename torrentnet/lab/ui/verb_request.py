"""A verb that a page asks for, and the answer."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from torrentnet.lab.errors import UsageError
from torrentnet.lab.scenario.qualities import QUALITY_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NODE_VERBS: Final = ("kill", "stop", "pause", "resume", "start", "restart")
NETWORK_VERBS: Final = ("isolate", "partition", "impair", "heal")
VERBS: Final = (*NODE_VERBS, *NETWORK_VERBS)
QUALITIES: Final = tuple(name for name in QUALITY_NAMES if name != "cut")
KEYS: Final = ("verb", "nodes", "sides", "from", "to", "qualities", "name")
MAX_NAMES: Final = 1000
MAX_TEXT: Final = 128


@dataclass(frozen=True, slots=True)
class VerbRequest:
    """What a page asks for. Nodes are names of nodes or groups."""

    verb: str
    nodes: tuple[str, ...] = ()
    sides: tuple[tuple[str, ...], ...] = ()
    from_: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    qualities: Mapping[str, str] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True, slots=True)
class VerbAnswer:
    """What has really happened."""

    ok: bool
    text: str
    command: str = ""
    """What does the same without the page."""
    yaml: str = ""
    """What does the same in a scenario's timeline."""

    def row(self) -> dict[str, object]:
        """Return the answer for the page."""
        return {"ok": self.ok, "text": self.text, "command": self.command, "yaml": self.yaml}


class LiveLab(Protocol):
    """A lab behind the page."""

    @property
    def read_only(self) -> str:
        """Why nobody may change the lab; empty where its verbs work."""

    def act(self, request: VerbRequest) -> VerbAnswer:
        """Carry a verb out. Raises LabError."""

    def scenario(self) -> str:
        """Return a scenario that does what was done by hand. Raises LabError."""


def parse_request(body: bytes) -> VerbRequest:
    """Parse a request's JSON. Raises UsageError."""
    try:
        row = json.loads(body)
    except (ValueError, RecursionError):
        raise UsageError("the request is not JSON") from None
    if not isinstance(row, dict):
        raise UsageError("a verb is a JSON object", hint='for example {"verb": "kill", "nodes": ["leecher-1"]}')
    if unknown := [key for key in row if key not in KEYS]:
        raise UsageError(f"a verb has no `{unknown[0][:MAX_TEXT]}`", hint=f"its keys are: {', '.join(KEYS)}")
    verb = row.get("verb")
    if verb not in VERBS:
        raise UsageError("there is no such verb", hint=f"the verbs are: {', '.join(VERBS)}")
    sides = row.get("sides", [])
    if not isinstance(sides, list) or len(sides) > MAX_NAMES:
        raise UsageError("`sides` is a list of lists of names")
    request = VerbRequest(
        verb,
        _names("nodes", row.get("nodes", [])),
        tuple(_names("sides", side) for side in sides),
        _names("from", row.get("from", [])),
        _names("to", row.get("to", [])),
        _qualities(row.get("qualities", {})),
        _text("name", row.get("name", "")),
    )
    _check_keys(request)
    return request


def _check_keys(request: VerbRequest) -> None:
    match request.verb:
        case "partition":
            if len(request.sides) < 2 or not all(request.sides):
                raise UsageError(
                    "a partition has two sides or more", hint="draw the line so that both sides have nodes"
                )
        case "impair":
            if not request.qualities:
                raise UsageError("no quality is given", hint=f"the qualities are: {', '.join(QUALITIES)}")
            if not (request.nodes or request.from_ or request.to or len(request.sides) == 2):
                raise UsageError("no link is chosen", hint="choose nodes, or two sides")
        case "heal":
            pass
        case _:
            if not request.nodes:
                raise UsageError("no node is chosen", hint="choose one on the page")


def _names(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_NAMES:
        raise UsageError(f"`{key}` is a list of at most {MAX_NAMES} names")
    return tuple(dict.fromkeys(_text(key, one) for one in value))


def _qualities(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise UsageError("`qualities` is an object", hint='for example {"loss": "5%"}')
    if unknown := [key for key in value if key not in QUALITIES]:
        raise UsageError(f"a link has no `{unknown[0][:MAX_TEXT]}`", hint=f"its qualities are: {', '.join(QUALITIES)}")
    return {key: _text(key, one) for key, one in value.items()}


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable():
        raise UsageError(f"`{key}` holds something that is no short line of text")
    return value


def join_names(names: Sequence[str]) -> str:
    """Return names for a sentence."""
    return ", ".join(names)
