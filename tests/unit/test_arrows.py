"""The arrows between the rooms, and what no file of the repository may hold."""

from __future__ import annotations

import ast
import configparser
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "torrentnet"

MAY_KNOW: dict[str, set[str]] = {
    "wire": set(),
    "runtime": {"wire"},
    "console": {"wire", "runtime"},
    "tracker": {"wire", "runtime", "console"},
    "peer": {"wire", "runtime", "console"},
    "adapters": {"wire", "runtime", "console"},
    "lab": {"shaper", "wire", "runtime"},
    "shaper": {"wire", "runtime", "console"},
}
"""Room -> the other rooms that it may import."""
IN_THE_IMAGE = ("wire", "console", "tracker", "peer", "adapters", "shaper", "runtime")
BESIDE = {"adapters": {"libtorrent"}}
"""What a room takes beside the standard library, where it is there."""
PROGRAMS = {"tracker.py": "tracker", "peer.py": "peer"}
"""File at the top of the repository -> the room that it starts."""


class Import(str):
    """A module's full name, as it is imported."""

    @property
    def room(self) -> str | None:
        """Our room that it belongs to; None for other people's modules and for the package itself."""
        first, _, rest = self.partition(".")
        room = rest.split(".")[0]
        return room if first == "torrentnet" and room in MAY_KNOW else None


def _imports(path: Path) -> Iterator[tuple[int, Import]]:
    """Line and full name of everything that the file imports, wherever in it and under whatever condition."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, Import(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            base += node.module.split(".") if node.module else []
            for alias in node.names:
                yield node.lineno, Import(".".join([*base, alias.name]))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"__import__", "importlib.import_module"}:
            name = node.args[0]
            assert isinstance(name, ast.Constant), f"{path}:{node.lineno}: nobody can see what this imports"
            yield node.lineno, Import(name.value)


def _files(room: str) -> list[Path]:
    return sorted((PACKAGE / room).rglob("*.py"))


def test_every_room_is_known() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0] for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE}
    assert rooms == set(MAY_KNOW)
    assert {path.name for path in PACKAGE.glob("*.py")} <= {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("room", MAY_KNOW)
def test_a_room_knows_only_whom_it_may(room: str) -> None:
    files = _files(room)
    assert len(files) > 1
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in files
        for line, name in _imports(path)
        if name.room is not None and name.room != room and name.room not in MAY_KNOW[room]
    ]
    assert not wrong


@pytest.mark.parametrize("room", IN_THE_IMAGE)
def test_what_runs_in_the_image_takes_only_the_standard_library(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in _files(room)
        for line, name in _imports(path)
        if name.split(".")[0] not in sys.stdlib_module_names | {"torrentnet"} | BESIDE.get(room, set())
    ]
    assert not wrong


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_starts_its_own_room(program: str) -> None:
    found = list(_imports(ROOT / program))
    assert {name.room for _, name in found if name.room} == {PROGRAMS[program]}
    assert all(name.split(".")[0] in sys.stdlib_module_names | {"torrentnet"} for _, name in found)


def test_the_reader_of_imports_sees_them_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "torrentnet" / "peer" / "deep" / "x.py"
    source.parent.mkdir(parents=True)
    source.write_text(
        "import torrentnet.lab.cli.app\n"
        "from torrentnet import tracker\n"
        "from torrentnet.lab import cli\n"
        "from .. import storage\n"
        "from ...lab import plan\n"
        "def f():\n    import yaml\n"
        "__import__('torrentnet.lab')\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert [name for _, name in sorted(_imports(source))] == [
        "torrentnet.lab.cli.app",
        "torrentnet.tracker",
        "torrentnet.lab.cli",
        "torrentnet.peer.storage",
        "torrentnet.lab.plan",
        "yaml",
        "torrentnet.lab",
    ]
    assert [name.room for _, name in sorted(_imports(source))] == ["lab", "tracker", "lab", "peer", "lab", None, "lab"]


# Docstrings


def _modules() -> list[Path]:
    found = [*PACKAGE.rglob("*.py"), *(ROOT / program for program in PROGRAMS)]
    return sorted(found)


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


def _public(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.ClassDef | ast.FunctionDef]]:
    for node in body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body, f"{prefix}{node.name}.")


@pytest.mark.parametrize("path", _files("wire"), ids=lambda path: path.name)
def test_what_is_public_in_wire_says_what_it_is_for(path: Path) -> None:
    silent = [name for name, node in _public(ast.parse(path.read_text("utf-8")).body) if not ast.get_docstring(node)]
    assert not silent


# What no file may hold


def _repository() -> list[Path]:
    """All files of the repository: those that git knows, and new ones that it does not ignore."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    paths = (ROOT / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name)
    # A file that is deleted but not yet out of the index is no longer there.
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def _host_names(text: str) -> set[str]:
    """Host names in URLs, without those that every machine has."""
    found = re.findall(r"[a-z+]+://(?:[^/\s@\"']*@)?([A-Za-z0-9.-]+\.[A-Za-z0-9-]*[A-Za-z])", text)
    return {name.lower() for name in found if not name.lower().endswith(".localhost")}


def _apt_sources() -> str:
    apt = Path("/etc/apt")
    files = [apt / "sources.list", apt / "apt.conf"]
    for folder in ("sources.list.d", "apt.conf.d", "mirrors"):
        files += sorted((apt / folder).glob("*"))
    text = "\n".join(
        path.read_text("utf-8", "replace") for path in files if path.is_file() and os.access(path, os.R_OK)
    )
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("#", "//")))


def _pip_settings() -> str:
    home = Path.home()
    files = [Path("/etc/pip.conf"), home / ".pip" / "pip.conf", home / ".config" / "pip" / "pip.conf"]
    files += [Path(sys.prefix) / "pip.conf", Path(sys.base_prefix) / "pip.conf"]
    files += [Path(os.environ["PIP_CONFIG_FILE"])] if "PIP_CONFIG_FILE" in os.environ else []
    values = [value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_")) and "://" in value]
    for path in files:
        if path.is_file() and os.access(path, os.R_OK):
            parser = configparser.RawConfigParser()
            parser.read(path, "utf-8")
            values += [value for section in parser.sections() for _, value in parser.items(section)]
    return "\n".join(values)


def test_the_reader_of_host_names_finds_them() -> None:
    text = (
        "deb [signed-by=/x] http://mirror.example.org/debian x main\nhttps://user:secret@pip.example.com:8080/simple\n"
    )
    assert _host_names(text) == {"mirror.example.org", "pip.example.com"}
    assert _host_names("http://127.0.0.1:8080/ http://localhost/ file:///x mirror+file:/etc/apt/x") == set()


def test_no_file_names_a_host_that_packages_come_from() -> None:
    """Where packages come from is the machine's business; the repository must build on any other, too."""
    hosts = _host_names(_apt_sources()) | _host_names(_pip_settings())
    if not hosts:
        pytest.skip("this machine's apt and pip name no host")
    wrong = [
        str(path.relative_to(ROOT))
        for path in _repository()
        if any(host.encode("ascii") in path.read_bytes().lower() for host in hosts)
    ]
    assert not wrong


def test_no_file_names_the_place_of_this_checkout() -> None:
    if len(ROOT.parts) < 3:
        pytest.skip("the checkout lies in a directory that any file may name")
    here = re.compile(re.escape(os.fsencode(ROOT)) + rb"(?![\w-])")
    assert not [str(path.relative_to(ROOT)) for path in _repository() if here.search(path.read_bytes())]


def test_this_test_names_none_itself() -> None:
    source = inspect.getsource(sys.modules[__name__])
    assert set(re.findall(r"https?://([\w.:@-]+)", source)) <= {
        "mirror.example.org",
        "user:secret@pip.example.com:8080",
        "127.0.0.1:8080",
        "localhost",
    }
