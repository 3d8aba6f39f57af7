"""The page docs/benchmarks.md, which has one part for each section.

A part is rewritten when its section was measured, and kept unchanged otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.section import Table

PLOTS_FOLDER = "benchmarks"
"""The directory of the plots, beside the page."""
HEAD = """\
# Benchmarks

<!-- Written by `make bench`; what is changed here by hand is lost with its next full run. -->

`make bench` writes this page: torrentnet side by side with other programs, on one machine, in one run. A machine's
speed changes from hour to hour, a virtual one's most of all, so the programs take turns and **ratios** are what to look
at: each is taken between runs that were neighbours in time. A figure is the median; the least and the most stand behind
it in parentheses.

    make bench                # all of it, in less than a quarter of an hour; writes this page
    make bench quick=1        # a look in between, in less than three minutes
    make bench only=bytes     # one part; write=1 puts it into this page
    make bench runs=5         # more runs, narrower figures
"""
_PART = re.compile(r"^<!-- part: ([a-z]+) -->\n(.*?)(?=^<!-- part: |\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Part:
    """What a section has for the page."""

    title: str
    measured: str
    """When, on what, by which command."""
    tables: Sequence[Table]
    plots: Sequence[Path]
    notes: str = ""


def render_part(part: Part) -> str:
    """Return one section's Markdown, from its heading on."""
    chunks = [f"## {part.title}", f"*{part.measured}*"]
    for table in part.tables:
        chunks += [f"### {table.title}", render_table(table)]
        if table.note:
            chunks.append(table.note)
    chunks += [f"![{plot.stem.replace('-', ' ')}]({PLOTS_FOLDER}/{plot.name})" for plot in part.plots]
    if part.notes:
        chunks.append(part.notes.strip())
    return "\n\n".join(chunks) + "\n"


def render_table(table: Table) -> str:
    """Return a table in GitHub's Markdown."""
    lines = [_row(table.columns), "| --- " * len(table.columns) + "|"]
    return "\n".join([*lines, *(_row(row) for row in table.rows)])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def parse_parts(page: str) -> dict[str, str]:
    """Return the parts of an earlier page, by the names of their sections."""
    return {match[1]: match[2].strip() + "\n" for match in _PART.finditer(page)}


def render_page(parts: Mapping[str, str]) -> str:
    """Return the whole page, with the parts in their order."""
    return HEAD + "".join(f"\n<!-- part: {name} -->\n{text}" for name, text in parts.items())
