"""What was clicked, as items of a scenario's timeline.

Tested by tests/unit/lab/ui/clicking/test_saved_scenario.py and tests/unit/lab/ui/clicking/test_verb_performer.py.
"""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import yaml

from torrentnet.lab.paths import lab_directory, write_atomically
from torrentnet.lab.scenario.language.models.values import REST_OF_RUN
from torrentnet.lab.scenario.language.scalars import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

FILE: Final = "clicks.json"


@dataclass(frozen=True, slots=True)
class Click:
    """A verb that was carried out."""

    at: float
    """Seconds after t = 0."""
    verb: str
    target: Any
    """The value of the verb's key: names of nodes, sides, a direction with qualities."""
    name: str = ""
    lasting: bool = False
    ended: float | None = None
    """When it was undone, in seconds after t = 0; None while it is in force."""

    def item(self) -> dict[str, Any]:
        """Return the item of the timeline, as YAML writes it."""
        item: dict[str, Any] = {"at": format_duration(self.at), self.verb: _short(self.target)}
        if self.lasting:
            lasts = None if self.ended is None else max(0.001, round(self.ended - self.at, 3))
            item["for"] = REST_OF_RUN if lasts is None else format_duration(lasts)
        if self.name:
            item["name"] = self.name
        return item

    @property
    def last_moment(self) -> float:
        """The latest time that the item names."""
        return self.at if self.ended is None else self.ended


def _short(target: Any) -> Any:
    return target[0] if isinstance(target, list) and len(target) == 1 else target


def yaml_line(item: Mapping[str, Any]) -> str:
    """Return an item on one line, without the dash before it."""
    return yaml.safe_dump(
        dict(item), default_flow_style=True, sort_keys=False, width=1_000_000, allow_unicode=True
    ).strip()


@dataclass(slots=True)
class ClickList:
    """Everything that was clicked in one lab. Thread-safe."""

    _clicks: list[Click] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, click: Click) -> int:
        """Add a click; return its number."""
        with self._lock:
            self._clicks.append(click)
            return len(self._clicks) - 1

    def end(self, numbers: Iterable[int], moment: float) -> list[Click]:
        """Note when clicks were undone; return them."""
        with self._lock:
            for number in numbers:
                self._clicks[number] = replace(self._clicks[number], ended=moment)
            return [self._clicks[number] for number in numbers]

    def all(self) -> Sequence[Click]:
        """Return all of them, by time."""
        with self._lock:
            return sorted(self._clicks, key=lambda click: click.at)

    def numbered(self) -> dict[int, Click]:
        """Return all of them by their numbers."""
        with self._lock:
            return dict(enumerate(self._clicks))

    def text(self) -> str:
        """Return all of them for a file."""
        with self._lock:
            return json.dumps([asdict(click) for click in self._clicks], indent=1) + "\n"

    @classmethod
    def parse(cls, text: str) -> ClickList:
        """Return what :meth:`text` has written. Raises ValueError, KeyError and TypeError."""
        return cls([Click(**row) for row in json.loads(text)])


def write_clicks(home: Path, project: str, clicks: ClickList) -> None:
    """Write what was clicked into a lab's directory, for later pages."""
    with contextlib.suppress(OSError):
        if (folder := lab_directory(home, project)).is_dir():
            write_atomically(folder / FILE, clicks.text())


def read_clicks(home: Path, project: str) -> ClickList:
    """Return what was clicked on earlier pages of a lab."""
    try:
        return ClickList.parse((lab_directory(home, project) / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        return ClickList()
