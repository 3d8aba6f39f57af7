"""``torrentnet capture``: its messages for wrong use."""

from __future__ import annotations

import errno
import os
import pty
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab import golden
from torrentnet.lab.cli.app import main
from torrentnet.lab.cli.viewing.capture_command import cannot_write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORRENTNET_HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    monkeypatch.setenv("TORRENTNET_ENGINE", "docker")
    return tmp_path


def _run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int | str | None, str]:
    with pytest.raises(SystemExit) as caught:
        main(list(argv))
    return caught.value.code, capsys.readouterr().err


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("without_a_lab", ["capture"]),
        ("wrong_time", ["capture", "--for", "soon"]),
        ("stream_and_json", ["capture", "-o", "-", "--json"]),
        ("full_without_capture", ["run", "three_seeders", "--full"]),
    ],
)
def test_wrong_use_is_refused(capsys: pytest.CaptureFixture[str], name: str, words: list[str]) -> None:
    code, error = _run(capsys, *words)
    assert code == 2
    golden.check(f"error_capture_{name}.txt", error)


def test_a_file_that_cannot_be_written_is_named() -> None:
    error = cannot_write("a.pcapng", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    golden.check("error_capture_full_disk.txt", f"{error.message}\n    {error.hint}\n")


@pytest.mark.usefixtures("home")
def test_packets_are_not_written_to_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    master, terminal = pty.openpty()
    monkeypatch.setattr("torrentnet.lab.cli.viewing.capture_command.STDOUT", terminal)
    code, error = _run(capsys, "capture", "-o", "-")
    os.close(master)
    os.close(terminal)
    assert code == 2
    golden.check("error_capture_terminal.txt", error)
