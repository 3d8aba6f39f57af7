"""Output of commands on standard output: one JSON document, or a table.

Tested by tests/unit/lab/cli/test_app.py and tests/unit/lab/cli/test_status.py.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from torrentnet.lab.cli.progress import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

PIPE_WIDTH: Final = 400


def print_json(document: object) -> None:
    """Print one document, as ``--json`` promises."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headers, as wide as the terminal.

    In a pipe, the table is as wide as it needs.
    """
    terminal = sys.stdout.isatty()
    console = Console() if terminal else Console(width=PIPE_WIDTH)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    if terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))
