"""The file by which plain ``docker compose`` commands find a lab."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import pytest

from torrentnet.lab.plain_compose import COMPOSE_FILES, OVERRIDES, REDIRECTING, compose_command, publish, withdraw

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = "torrentnet-x-abc123"
TEXT = f"# Written by torrentnet for one run of the scenario x.\nname: {PROJECT}\nservices: {{}}\n"


@pytest.fixture
def generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The generated file of a lab, in a record outside its home."""
    for name in REDIRECTING:
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "it's" / "compose.yaml"
    file.parent.mkdir()
    file.write_text(TEXT, encoding="utf-8")
    return file


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home."""
    directory = tmp_path / "home"
    directory.mkdir()
    return directory


@pytest.fixture
def checkout(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that is a checkout."""
    (home / "docker-compose.yml").write_text("services: {}\n", encoding="utf-8")
    monkeypatch.setattr("torrentnet.lab.plain_compose.files_root", lambda: home)
    return home


def snapshot(home: Path) -> dict[str, object]:
    """What is in a directory, byte for byte, with kinds, modes and times."""
    found: dict[str, object] = {}
    for path in sorted(home.rglob("*")):
        what = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else "folder"
        found[str(path.relative_to(home))] = (what, path.lstat().st_mode, path.lstat().st_mtime_ns)
    return found


def named(generated: Path) -> str:
    return f"docker compose -p {PROJECT} -f {shlex.quote(str(generated))}"


def test_a_checkout_gets_an_override(checkout: Path, generated: Path) -> None:
    before = snapshot(checkout)
    publish(checkout, generated)
    assert (checkout / "docker-compose.override.yml").read_text(encoding="utf-8") == TEXT
    assert compose_command(checkout, PROJECT, generated) == "docker compose"
    withdraw(checkout, PROJECT)
    assert snapshot(checkout) == before


def test_another_directory_gets_a_compose_file(home: Path, generated: Path) -> None:
    publish(home, generated)
    assert (home / "compose.yaml").read_text(encoding="utf-8") == TEXT
    assert compose_command(home, PROJECT, generated) == "docker compose"
    withdraw(home)
    assert not list(home.iterdir())


def test_a_second_lab_replaces_the_file_of_the_first(home: Path, generated: Path) -> None:
    publish(home, generated)
    generated.write_text(TEXT.replace("abc123", "def456"), encoding="utf-8")
    publish(home, generated)
    withdraw(home, PROJECT)
    assert "def456" in (home / "compose.yaml").read_text(encoding="utf-8")
    withdraw(home, "torrentnet-x-def456")
    assert not list(home.iterdir())


def test_another_labs_file_does_not_count(home: Path, generated: Path) -> None:
    publish(home, generated)
    assert compose_command(home, "torrentnet-other-000000", generated).startswith("docker compose -p torrentnet-other")


@pytest.mark.parametrize("name", COMPOSE_FILES)
@pytest.mark.parametrize("kind", ["file", "latin-1", "folder", "link", "dangling", "unreadable"])
def test_a_users_compose_file_is_left_alone(home: Path, generated: Path, name: str, kind: str) -> None:
    make(home / name, kind)
    before = snapshot(home)
    publish(home, generated)
    assert snapshot(home) == before
    assert compose_command(home, PROJECT, generated) == named(generated)
    withdraw(home)
    assert snapshot(home) == before


@pytest.mark.parametrize("name", OVERRIDES)
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_a_users_override_is_left_alone(checkout: Path, generated: Path, name: str, kind: str) -> None:
    make(checkout / name, kind)
    before = snapshot(checkout)
    publish(checkout, generated)
    withdraw(checkout)
    assert snapshot(checkout) == before


@pytest.mark.parametrize("kind", ["file", "latin-1", "crlf", "no end", "folder", "link", "dangling", "read-only"])
def test_an_env_file_of_any_kind_is_left_alone(checkout: Path, generated: Path, kind: str) -> None:
    make(checkout / ".env", kind)
    before = snapshot(checkout)
    publish(checkout, generated)
    assert compose_command(checkout, PROJECT, generated) == "docker compose"
    withdraw(checkout, PROJECT)
    assert snapshot(checkout) == before


@pytest.mark.parametrize("variable", REDIRECTING)
def test_an_exported_variable_makes_the_command_name_the_file(
    home: Path, generated: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    publish(home, generated)
    monkeypatch.setenv(variable, "elsewhere")
    assert compose_command(home, PROJECT, generated) == named(generated)


@pytest.mark.parametrize("line", ["COMPOSE_FILE=other.yaml", "export COMPOSE_PROJECT_NAME = x\r"])
def test_a_variable_in_an_env_file_makes_the_command_name_the_file(home: Path, generated: Path, line: str) -> None:
    publish(home, generated)
    (home / ".env").write_bytes(b"A=\xe9\n" + line.encode())
    assert compose_command(home, PROJECT, generated) == named(generated)


def test_a_record_inside_the_home_is_named_by_its_relative_path(home: Path) -> None:
    record = home / "runs" / "compose.yaml"
    assert compose_command(home, PROJECT, record) == f"docker compose -p {PROJECT} -f runs/compose.yaml"


def test_a_read_only_home_is_no_failure(home: Path, generated: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    home.chmod(0o555)
    publish(home, generated)
    assert not list(home.iterdir())


def make(path: Path, kind: str) -> None:
    """Make a user's file of some kind."""
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        (path.parent / "theirs").write_text("A=1\n", encoding="utf-8")
        path.symlink_to("theirs")
    elif kind == "dangling":
        path.symlink_to("nowhere")
    else:
        contents = {"latin-1": b"A=\xe9t\xe9\n", "crlf": b"A=1\r\nB=2\r\n", "no end": b"A=1"}
        path.write_bytes(contents.get(kind, b"A: 1\n"))
        path.chmod({"read-only": 0o444, "unreadable": 0o000}.get(kind, 0o644))
