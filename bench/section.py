"""A section of the benchmark: its name, its function and its results.

The results are tables and plots.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class CannotMeasureError(Exception):
    """The machine lacks what a section needs; the text says what, and how to get it."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the page."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    """How it was measured and how far the runs were apart, for readers of this table alone."""


@dataclass(frozen=True, slots=True)
class SectionResult:
    """What a section measured."""

    tables: tuple[Table, ...]
    plots: tuple[Path, ...] = ()
    """Pictures that the section wrote below ``Context.pictures``."""
    raw: dict[str, Any] = field(default_factory=dict)
    """Every single figure, for JSON."""
    notes: str = ""
    """More for readers of the page, in Markdown: what was timed and how, and where the time goes."""


@dataclass(frozen=True, slots=True)
class Context:
    """The arguments of a section's run."""

    quick: bool
    """About a fifth of the time: fewer sizes and runs, for a look in between."""
    runs: int
    """How often each thing is measured, the competitors in turns; medians are quoted."""
    say: Callable[[str], None]
    """Progress for a person, one line a call."""
    workdir: Path
    """For files of the section's own; removed afterwards."""
    pictures: Path


class Section(Protocol):
    """A module of this package that has these three; ``bench.__main__`` lists them."""

    NAME: str
    """As typed after ``only=``."""
    TITLE: str

    def run(self, context: Context) -> SectionResult:
        """Measure. Raises :class:`CannotMeasureError` where the machine lacks something."""
