"""A table of nodes that fits into a terminal, with their pieces as bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from rich.table import Table
from rich.text import Text

from torrentnet.runtime.text import text_width, wrap_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from torrentnet.lab.run.facts.piece_map import PieceMaps

MIN_BAR: Final = 10
MAX_BAR: Final = 48
"""Columns of a bar."""
BLOCKS: Final = "░▒▓█"
ASCII_BLOCKS: Final = ".-=#"
"""What a bar is made of: parts of the file of which a node has nothing, less than half, more, and all."""
COLUMN_GAP: Final = 2
EXPENDABLE: Final = ("address", "from", "", "pieces")
"""Headers of the columns that a narrow terminal does without, the first one first; the bar has none."""


def node_table(
    console: Console, title: str, headers: Sequence[str], rows: Sequence[Sequence[Cell]], *, below: int = 0
) -> tuple[Table, int]:
    """Return a table of nodes that fits into a terminal, and its number of rows.

    Columns that do not fit into the terminal's width are left out, the least important first; bars take what is left.
    The table has room above ``below`` other lines. Where not all rows fit, one line is left for the caller to count
    the others in.
    """
    table = Table(
        title=Text(title, "bold"), title_justify="left", box=None, pad_edge=False, padding=(0, COLUMN_GAP, 0, 0)
    )
    kept, bar_width = _fitting_columns(console, headers, rows)
    blocks = BLOCKS if console.encoding.lower().startswith("utf") else ASCII_BLOCKS
    for index in kept:
        header = headers[index]
        table.add_column(header, justify="right" if header == "pieces" else "left", no_wrap=True)
    # Leaves lines for the title, the headers and the cursor.
    room = max(4, console.height - 4 - below)
    shown = len(rows) if len(rows) <= room else room - 1
    for row in rows[:shown]:
        cells = [row[index] for index in kept if index < len(row)]
        table.add_row(*(cell.text(bar_width, blocks) if isinstance(cell, PieceBar) else cell for cell in cells))
    return table, shown


def _fitting_columns(console: Console, headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> tuple[list[int], int]:
    """Return the indices of the columns that fit beside each other, and a bar's width."""
    widths = [text_width(header) for header in headers]
    for row in rows:
        for index, cell in enumerate(row):
            widths[index] = max(widths[index], MIN_BAR if isinstance(cell, PieceBar) else text_width(str(cell)))
    kept = list(range(len(headers)))
    for header in EXPENDABLE:
        if _room_left(console, widths, kept) < 0 and header in headers:
            kept.remove(headers.index(header))
    return kept, min(MAX_BAR, MIN_BAR + max(0, _room_left(console, widths, kept)))


def _room_left(console: Console, widths: Sequence[int], kept: Sequence[int]) -> int:
    return console.width - sum(widths[index] + COLUMN_GAP for index in kept)


@dataclass(frozen=True, slots=True)
class PieceBar:
    """The pieces that a node has, as a bar over its file."""

    maps: PieceMaps
    node: str
    have: int
    pieces: int

    def text(self, width: int, blocks: str) -> Text:
        """Return the bar, made of :data:`BLOCKS` or :data:`ASCII_BLOCKS`."""
        shares = self.maps.shares(self.node, self.have, self.pieces, width)
        return Text("".join(blocks[_level(share)] for share in shares), "green" if self.have >= self.pieces else "cyan")


Cell: TypeAlias = "Text | str | PieceBar"


def _level(share: float) -> int:
    return 3 if share >= 1 else 2 if share >= 0.5 else 1 if share > 0 else 0


def rest_line(doing: Sequence[str], *, console: Console) -> Text:
    """Return a line that counts the nodes for which a terminal has no room."""
    seeds, downloading = doing.count("seed"), doing.count("get")
    parts = [f"{seeds} seed{'s' * (seeds != 1)}"] * (seeds > 0) + [f"{downloading} downloading"] * (downloading > 0)
    text = f"and {len(doing)} more" + (f": {', '.join(parts)}" if parts else "")
    return Text("\n".join(wrap_line(text, console.width)), "dim")
