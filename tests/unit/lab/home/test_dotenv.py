"""The lab's block in ``.env``, and that the user's own lines are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from torrentnet.lab.home.dotenv import compose_command, remove_env_block, write_env_block

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = "torrentnet-x-abc123"
BLOCK = (
    "# >>> torrentnet: written by `up`, removed by `down`\n"
    "COMPOSE_PROJECT_NAME=torrentnet-x-abc123\n"
    "COMPOSE_FILE='docker-compose.yml:runs/x/compose.yaml'\n"
    "# <<< torrentnet\n"
)


def write_block(home: Path, project: str = PROJECT) -> None:
    write_env_block(home, project, [home / "docker-compose.yml", home / "runs/x/compose.yaml"])


def test_the_block_is_written_and_removed(tmp_path: Path) -> None:
    write_block(tmp_path)
    assert (tmp_path / ".env").read_text(encoding="utf-8") == BLOCK
    remove_env_block(tmp_path, PROJECT)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("own", ["A=1\n", "A=1", "# mine\n\nA=1\nB='x y'\n"])
def test_the_users_lines_and_mode_are_kept(tmp_path: Path, own: str) -> None:
    env = tmp_path / ".env"
    env.write_text(own, encoding="utf-8")
    env.chmod(0o600)
    write_block(tmp_path)
    assert env.read_text(encoding="utf-8") == own.rstrip("\n") + "\n" + BLOCK
    assert env.stat().st_mode & 0o777 == 0o600
    with env.open("a", encoding="utf-8") as file:
        file.write("C=added later\n")
    remove_env_block(tmp_path)
    assert env.read_text(encoding="utf-8") == own.rstrip("\n") + "\nC=added later\n"


def test_a_second_lab_replaces_the_block(tmp_path: Path) -> None:
    write_block(tmp_path, "torrentnet-old-000000")
    write_block(tmp_path)
    assert (tmp_path / ".env").read_text(encoding="utf-8") == BLOCK


def test_another_labs_block_is_kept(tmp_path: Path) -> None:
    write_block(tmp_path)
    remove_env_block(tmp_path, "torrentnet-other-000000")
    assert (tmp_path / ".env").read_text(encoding="utf-8") == BLOCK


def test_a_block_without_its_end_mark_spares_the_users_lines(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(BLOCK.replace("# <<< torrentnet\n", "A=1\n"), encoding="utf-8")
    remove_env_block(tmp_path)
    assert (tmp_path / ".env").read_text(encoding="utf-8") == "A=1\n"


def test_compose_files_outside_the_home_are_absolute(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    write_env_block(home, "p", [tmp_path / "docker-compose.yml", home / "runs/compose.yaml"])
    text = (home / ".env").read_text(encoding="utf-8")
    assert f"COMPOSE_FILE='{tmp_path}/docker-compose.yml:runs/compose.yaml'\n" in text


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("name", "text"), [(".env", "A=1\n"), ("compose.yaml", ""), ("docker-compose.yml", "")])
def test_an_installed_lab_leaves_a_projects_own_files_alone(tmp_path: Path, name: str, text: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / name).write_text(text)
    write_env_block(home, "lab-1", [home / "compose.yaml"])
    assert [(path.name, path.read_text()) for path in home.iterdir()] == [(name, text)]
    assert compose_command(home, "lab-1") == "docker compose -p lab-1"


@pytest.mark.usefixtures("installed")
def test_an_installed_lab_writes_an_env_file_of_its_own(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    write_env_block(home, "lab-1", [home / "compose.yaml"])
    assert compose_command(home, "lab-1") == "docker compose"
    remove_env_block(home, "lab-1")
    assert not list(home.iterdir())
