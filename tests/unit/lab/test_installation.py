"""Commands as users type them, in a checkout and with an installed package.

Other tests cover two versions of the package.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.lab import golden
from torrentnet import __version__
from torrentnet.lab import installation
from torrentnet.lab.errors import UsageError

ROOT = Path(__file__).resolve().parents[3]


def test_commands_are_shown_as_their_user_types_them() -> None:
    assert installation.typed_command("up", "NAME") == "make up scenario=NAME"
    assert installation.typed_command("attach", "tracker") == "make attach node=tracker"
    assert installation.typed_command("down") == "make down"
    assert installation.program() == ".venv/bin/torrentnet"
    assert "`make engine`" in installation.install_docker()


@pytest.mark.usefixtures("installed")
def test_an_installed_lab_is_driven_by_its_own_command() -> None:
    assert installation.typed_command("up", "NAME") == "torrentnet up NAME"
    assert installation.typed_command("down") == "torrentnet down"
    assert installation.program() == "torrentnet"
    assert "make" not in installation.install_docker()


def test_one_version_is_installed() -> None:
    installation.require_one_version()


def test_two_versions_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "torrentnet"
    package.mkdir()
    (package / "__init__.py").write_text('"""Older."""\n\n__version__ = "0.0.9"\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError) as caught:
        installation.require_one_version()
    text = f"{caught.value.message}\n    {caught.value.hint}\n"
    for path, name in ((str(ROOT), "ONE"), (str(tmp_path), "OTHER"), (__version__, "VERSION")):
        text = text.replace(path, name)
    golden.check("two_versions.txt", text)


def test_a_copy_of_the_same_version_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torrentnet").mkdir()
    (tmp_path / "torrentnet" / "__init__.py").write_text(f'__version__ = "{__version__}"\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    installation.require_one_version()
