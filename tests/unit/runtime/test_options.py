"""Common parts of command lines: a mistake is one line, with exit status 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from torrentnet.runtime.options import OptionParser, argument_type, file_content

if TYPE_CHECKING:
    from pathlib import Path


def _shout(data: bytes) -> str:
    if data != data.lower():
        raise KeyError("it shouts already")
    return data.decode().upper()


@pytest.fixture
def parser() -> OptionParser:
    made = OptionParser(prog="program")
    made.add_argument("--file", type=argument_type(file_content(_shout, KeyError)))
    return made


def test_a_file_is_read_and_parsed(parser: OptionParser, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"hear")
    assert parser.parse_args(["--file", str(tmp_path / "a")]).file == "HEAR"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("missing", "missing cannot be read: no such file or directory"),
        (".", ". cannot be read: is a directory"),
        ("loud", "loud: 'it shouts already'"),
    ],
)
def test_a_files_error_is_one_line(
    parser: OptionParser,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    word: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loud").write_bytes(b"HEAR")
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--file", word])
    assert caught.value.code == 2
    assert capsys.readouterr().err == f"program: error: argument --file: {message} (try program --help)\n"
