"""Every message with which torrentnet.wire refuses something.

The texts are checked word by word, and each must have its place in the golden file.

After a change on purpose, print the new file with ``python -m tests.unit.wire.test_refusals``.
"""

from __future__ import annotations

import ast
import itertools
from pathlib import Path
from typing import NamedTuple

from tests.unit.wire.refusals import REFUSALS
from torrentnet import wire
from torrentnet.wire import errors
from torrentnet.wire.errors import PacketError, TorrentnetError

GOLDEN = Path(__file__).parent / "golden" / "refusals.txt"
ROOM = Path(wire.__file__).parent


class Site(NamedTuple):
    """Lines of a ``raise`` statement."""

    file: str
    first: int
    last: int


def _refuse(case: str) -> TorrentnetError:
    try:
        taken = REFUSALS[case]()
    except TorrentnetError as error:
        return error
    raise AssertionError(f"{case}: taken as {taken!r}")


def _render(case: str) -> str:
    error = _refuse(case)
    lines = [f"[{case}]", f"{type(error).__name__}: {error.message}"]
    if isinstance(error, PacketError):
        lines.append("the sender is told" if error.sendable else "the sender is not told")
    if error.hint:
        lines.append(f"hint: {error.hint}")
    return "\n".join(lines)


def render() -> str:
    """The golden file's text."""
    return "\n\n".join(map(_render, REFUSALS)) + "\n"


def test_messages_match_the_golden_file() -> None:
    assert render().split("\n\n") == GOLDEN.read_text("utf-8").split("\n\n")


def test_every_raise_has_its_golden_message() -> None:
    kinds = {name for name in vars(errors) if isinstance(getattr(errors, name), type)}
    sites = {
        Site(path.name, node.lineno, node.end_lineno or node.lineno)
        for path in ROOM.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
        and node.exc.func.id in kinds
    }
    assert len(sites) > 50
    reached: set[tuple[str, int]] = set()
    for case in REFUSALS:
        trace = _refuse(case).__traceback__
        assert trace is not None
        while trace.tb_next:
            trace = trace.tb_next
        reached.add((Path(trace.tb_frame.f_code.co_filename).name, trace.tb_lineno))
    silent = {
        site for site in sites if not any((site.file, line) in reached for line in range(site.first, site.last + 1))
    }
    assert not silent, "no case of refusals.py reaches these"


def test_every_message_is_one_line_that_begins_in_lower_case() -> None:
    for case in REFUSALS:
        error = _refuse(case)
        assert error.message.isprintable(), case
        assert error.message[0].islower() or error.message[0].isdigit() or case.startswith("message:"), case
        assert not error.message.endswith("."), case
        assert str(error) == error.message


def test_errors_have_one_root_and_two_sides() -> None:
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, TorrentnetError) and kind is not TorrentnetError:
            assert issubclass(kind, errors.LocalError) != issubclass(kind, errors.RemoteError), name
    lines = (errors.__doc__ or "").splitlines()
    listed = {line.split("`")[1] for line in itertools.filterfalse(lambda line: "`" not in line, lines)}
    assert listed == {name for name, kind in vars(errors).items() if isinstance(kind, type)}


if __name__ == "__main__":
    print(render(), end="")
