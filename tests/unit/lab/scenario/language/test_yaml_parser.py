from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from torrentnet.lab.errors import Problem, ScenarioError
from torrentnet.lab.scenario.language import yaml_parser
from torrentnet.lab.scenario.language.document import Mark, format_path, to_plain_data
from torrentnet.lab.scenario.language.yaml_parser import MAX_BYTES, parse_document, read_text

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """\
about: three
nodes:
  seeder: {share: a.txt,
           count: 3}
timeline:
  - at: 1:30
    kill: [a, b]
"""


@pytest.mark.parametrize(
    ("loc", "line", "column"),
    [
        ((), 1, 1),
        (("about",), 1, 1),
        (("nodes", "seeder"), 3, 3),
        (("nodes", "seeder", "count"), 4, 12),
        (("timeline", 0), 6, 5),
        (("timeline", 0, "kill", 1), 7, 15),
        (("timeline", 7), 5, 1),
        (("timeline", 0, "nothing"), 6, 5),
    ],
)
def test_every_value_has_its_line_and_column(loc: tuple[str | int, ...], line: int, column: int) -> None:
    document, problems = parse_document(TEXT, "x.yaml")
    assert problems == []
    assert document.find(loc)[0] == Mark(line, column)


def test_a_problem_can_point_at_the_value() -> None:
    document, _ = parse_document(TEXT, "x.yaml")
    assert str(document.problem(("about",), "wrong", "a hint", at_value=True)) == "x.yaml:1:8: about: wrong\n    a hint"


@pytest.mark.parametrize("text", ["1:30", "yes", "no", "on", "0x10", "1e3", "010", "2026-11-23", "1_000", ".inf", "5"])
def test_scalars_stay_as_written(text: str) -> None:
    document, _ = parse_document(f"{{key: {text}, 'null': 'null', empty: ''}}", "x.yaml")
    assert to_plain_data(document.root) == {"key": text, "null": "null", "empty": ""}


def test_aliases_repeat_their_anchor() -> None:
    document, problems = parse_document("a: &one {x: [1, 2]}\nb: *one\n", "x.yaml")
    assert problems == []
    assert to_plain_data(document.root) == {"a": {"x": ["1", "2"]}, "b": {"x": ["1", "2"]}}


def test_an_anchor_cannot_contain_itself() -> None:
    with pytest.raises(ScenarioError, match=r"x.yaml:1:8: `\*a` refers to an anchor that is not set before it"):
        parse_document("a: &a [*a]", "x.yaml")


def test_paths_are_formatted_with_indices() -> None:
    assert format_path(("timeline", 2, "kill")) == "timeline[2].kill"
    assert format_path(()) == ""


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfabout: x\n")
    document, _ = parse_document(read_text(path, "x.yaml"), "x.yaml")
    assert to_plain_data(document.root) == {"about": "x"}


def test_unreadable_files_are_reported(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as missing:
        read_text(tmp_path / "gone.yaml", "gone.yaml")
    assert str(missing.value) == "gone.yaml:1:1: there is no such file"
    with pytest.raises(ScenarioError) as folder:
        read_text(tmp_path, "folder")
    assert str(folder.value) == "folder:1:1: this is a directory, not a scenario file"
    through = tmp_path / "file"
    through.write_text("")
    with pytest.raises(ScenarioError) as impossible:
        read_text(through / "x.yaml", "file/x.yaml")
    assert str(impossible.value) == "file/x.yaml:1:1: the file cannot be read: Not a directory"


def test_a_pipe_to_which_nobody_writes_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_parser, "PIPE_PATIENCE", 0.1)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ScenarioError) as silent:
        read_text(tmp_path / "fifo", "fifo")
    assert str(silent.value) == (
        "fifo:1:1: nothing was written to this pipe for 0.1 s, and it was not closed\n"
        "    start the program that writes to it, or name a file"
    )


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)

    def write() -> None:
        with path.open("wb", buffering=0) as stream:
            stream.write(b"about: ")
            stream.write(b"x" * 100_000)

    writer = threading.Thread(target=write)
    writer.start()
    assert read_text(path, "fifo") == "about: " + "x" * 100_000
    writer.join()


def test_a_large_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text("#" * (MAX_BYTES + 1))
    with pytest.raises(ScenarioError) as caught:
        read_text(path, "large.yaml")
    assert str(caught.value) == (
        "large.yaml:1:1: the file is larger than 256 KiB\n    a scenario is a page of text; is this the right file?"
    )


def test_the_number_of_values_is_limited_without_aliases_too() -> None:
    with pytest.raises(ScenarioError, match="more than 20000 values"):
        parse_document("a: [" + "x," * 30_000 + "]", "x.yaml")


def test_messages_escape_control_characters_of_the_file() -> None:
    problem = Problem("x.yaml", 1, 1, "a\nb", "the key `\x1b[2J` is wrong", "\r")
    assert str(problem) == "x.yaml:1:1: a\\nb: the key `\\x1b[2J` is wrong\n    \\r"
