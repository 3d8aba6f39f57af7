"""The architecture of the code: rooms and the imports between them.

The tests check who imports whom, how large a folder is, where a module is tested, and what a class is called.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from scripts import rooms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = rooms.ROOT
PACKAGE: Final = ROOT / rooms.PACKAGE
TESTS: Final = ROOT / "tests" / "unit"
MAX_MODULES: Final = 14
"""In one folder, its ``__init__.py`` not counted."""

IN_THE_IMAGE: Final = ("wire", "runtime", "console", "tracker", "peer", "adapters", "shaper", "sniffer")
BESIDE: Final = {"adapters": {"libtorrent", "rencode"}}
"""What a room imports beside the standard library, where it is there."""
PROGRAMS: Final = {"tracker.py": "tracker", "peer.py": "peer"}
"""File at the top of the repository -> the room that it starts."""

# -- who may import whom -----------------------------------------------------------------------------


def _forbidden(prefix: str, allowed: Mapping[str, frozenset[str]]) -> list[str]:
    depth = prefix.count(".") + 1
    found = []
    for module, targets in rooms.module_graph().items():
        if module.startswith(f"{prefix}."):
            room = rooms.room_of(module, depth)
            for target in sorted(targets):
                other = rooms.room_of(target, depth)
                listed = target.startswith(f"{prefix}.") and other in allowed
                if listed and other not in {room, *allowed.get(room, allowed)}:
                    found.append(f"{module} -> {target}")
    return found


@pytest.mark.parametrize("prefix", rooms.ARROWS)
def test_every_room_has_its_arrows(prefix: str) -> None:
    folder = ROOT / prefix.replace(".", "/")
    modules = {path.stem for path in folder.glob("*.py")}
    assert {path.name for path in folder.iterdir() if any(path.glob("*.py"))} == set(rooms.ARROWS[prefix]) - modules


@pytest.mark.parametrize("prefix", rooms.ARROWS)
def test_a_room_imports_only_what_it_may(prefix: str) -> None:
    assert not _forbidden(prefix, rooms.ARROWS[prefix])


@pytest.mark.parametrize("prefix", rooms.ARROWS)
def test_the_arrows_have_no_cycle(prefix: str) -> None:
    assert not rooms.cycles({room: set(others) for room, others in rooms.ARROWS[prefix].items()})


def test_no_modules_import_each_other() -> None:
    assert not rooms.cycles(rooms.module_graph())


@pytest.mark.parametrize("room", IN_THE_IMAGE)
def test_what_runs_in_the_image_needs_only_the_standard_library(room: str) -> None:
    files = sorted((PACKAGE / room).rglob("*.py"))
    assert files
    wrong = [
        f"{found.module}:{found.line}: {found.name}"
        for path in files
        for found in rooms.imports(path)
        if found.name.split(".")[0] not in sys.stdlib_module_names | {rooms.PACKAGE} | BESIDE.get(room, set())
    ]
    assert not wrong


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_starts_its_own_room(program: str) -> None:
    names = [found.name for found in rooms.imports(ROOT / program)]
    ours = {rooms.room_of(name) for name in names if name.startswith(f"{rooms.PACKAGE}.")}
    assert ours - {"runtime"} == {PROGRAMS[program]}
    assert all(name.split(".")[0] in sys.stdlib_module_names | {rooms.PACKAGE} for name in names)


def test_the_picture_of_the_rooms_is_current() -> None:
    page = rooms.PICTURE.read_text("utf-8")
    assert page == rooms.with_picture(page), "python -m scripts.rooms draws it anew"


# -- how the code is laid out ------------------------------------------------------------------------


@pytest.mark.parametrize("top", ["torrentnet", "bench", "tests", "scripts"])
def test_no_folder_has_too_many_modules(top: str) -> None:
    sizes: dict[str, int] = defaultdict(int)
    for path in (ROOT / top).rglob("*.py"):
        if path.stem not in {"__init__", "conftest"} and not path.name.startswith("test_"):
            sizes[str(path.parent.relative_to(ROOT))] += 1
    assert not {folder: size for folder, size in sizes.items() if size > MAX_MODULES}


def _tested_elsewhere(tree: ast.Module) -> list[str]:
    """Return the test files that a module's docstring names.

    The docstring has lines like ``Tested by tests/unit/wire/test_decoders.py.``
    """
    lines = (ast.get_docstring(tree) or "").replace("`", "").split("\n")
    named = [line.removeprefix("Tested by ") for line in lines if line.startswith("Tested by tests/")]
    return [name.rstrip(".,") for line in named for name in line.split() if name.startswith("tests/")]


def _module_of(test: Path) -> Path:
    relative = test.relative_to(TESTS)
    top = ROOT if relative.parts[0] == "bench" else PACKAGE
    return top / relative.parent / relative.name.removeprefix("test_")


def test_every_module_says_where_it_is_tested() -> None:
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = rooms.parsed(path)
        elsewhere = _tested_elsewhere(tree)
        wrong += [
            f"{path.relative_to(ROOT)}: {name} does not exist" for name in elsewhere if not (ROOT / name).exists()
        ]
        has_behaviour = any(isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) for node in ast.walk(tree))
        mirror = TESTS / path.relative_to(PACKAGE).parent / f"test_{path.name}"
        name = str(path.relative_to(ROOT))
        if path.stem not in {"__init__", "__main__"} and has_behaviour:
            wrong += [] if mirror.exists() or elsewhere else [f"{name}: no {mirror.relative_to(ROOT)}"]
    assert not wrong


def test_every_unit_test_lies_where_its_module_does() -> None:
    folders = {path.parent for path in TESTS.rglob("test_*.py")} - {TESTS}
    assert not [str(folder) for folder in folders if not _module_of(folder / "test_x.py").parent.is_dir()]


# -- names and docstrings ----------------------------------------------------------------------------


def _public(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.ClassDef | ast.FunctionDef]]:
    for node in body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body, f"{prefix}{node.name}.")


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a tree's statements; expressions, which hold no statement, are left out."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.expr):
            yield from _statements(child)


def test_a_public_class_name_means_one_thing() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in rooms.parsed(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(ROOT)))
    assert not {name: found for name, found in places.items() if len(found) > 1}


def test_every_module_says_what_it_is_for() -> None:
    files = [*PACKAGE.rglob("*.py"), *(ROOT / name for name in PROGRAMS)]
    assert not [str(path.relative_to(ROOT)) for path in files if not ast.get_docstring(rooms.parsed(path))]


def test_the_first_line_of_a_docstring_fits_80_columns() -> None:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    long = [
        f"{path.relative_to(ROOT)}: {text.splitlines()[0]}"
        for folder in (PACKAGE, ROOT / "bench", ROOT / "tests")
        for path in sorted(folder.rglob("*.py"))
        for node in _statements(rooms.parsed(path))
        if isinstance(node, documented) and (text := ast.get_docstring(node)) and len(text.splitlines()[0]) > 80
    ]
    assert not long


def test_what_is_public_in_wire_says_what_it_is_for() -> None:
    silent = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in (PACKAGE / "wire").rglob("*.py")
        for name, node in _public(rooms.parsed(path).body)
        if not ast.get_docstring(node)
    ]
    assert not silent


# -- the reader of imports ---------------------------------------------------------------------------


def test_the_reader_of_imports_sees_them_all(tmp_path: Path) -> None:
    source = tmp_path / "torrentnet" / "peer" / "deep" / "x.py"
    source.parent.mkdir(parents=True)
    source.write_text(
        "import torrentnet.lab.cli\n"
        "from torrentnet import tracker\n"
        "from torrentnet.lab import cli\n"
        "from .. import storage\n"
        "from ...lab import plan\n"
        "def f():\n    import yaml\n"
        "__import__('torrentnet.lab')\n"
    )
    found = sorted(rooms.imports(source, tmp_path), key=lambda one: one.line)
    assert [one.name for one in found] == [
        "torrentnet.lab.cli",
        "torrentnet.tracker",
        "torrentnet.lab.cli",
        "torrentnet.peer.storage",
        "torrentnet.lab.plan",
        "yaml",
        "torrentnet.lab",
    ]
    assert {one.module for one in found} == {"torrentnet.peer.deep.x"}


def test_an_import_that_nobody_can_see_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "torrentnet" / "x.py"
    source.parent.mkdir()
    source.write_text("import importlib\nimportlib.import_module(name)\n")
    with pytest.raises(SyntaxError, match="must be a literal"):
        list(rooms.imports(source, tmp_path))


def test_a_name_belongs_to_the_nearest_module() -> None:
    known = {"torrentnet": Path(), "torrentnet.lab": Path(), "torrentnet.lab.plan": Path()}
    assert rooms.resolve("torrentnet.lab.plan.Plan", known) == "torrentnet.lab.plan"
    assert rooms.resolve("torrentnet.lab.open", known) == "torrentnet.lab"
    assert rooms.resolve("yaml.dump", known) is None


def test_cycles_are_found_through_others() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set()}
    assert rooms.cycles(graph) == [["a", "b", "c"]]


def test_an_arrow_that_follows_from_others_is_not_drawn() -> None:
    assert rooms.without_shortcuts({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": {"b"}, "b": {"c"}, "c": set()}
