"""The rooms of the package, the arrows between them, and the picture of both in ARCHITECTURE.md.

``python -m scripts.rooms`` draws the picture anew. tests/unit/test_arrows.py keeps the arrows.
"""

from __future__ import annotations

import ast
import functools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Set

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGE: Final = "torrentnet"

_LAB_BELOW_API: Final = frozenset({"scenario", "engines", "network", "home", "capture", "run", "verdict", "report"})

ARROWS: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    PACKAGE: {
        "wire": frozenset(),
        "runtime": frozenset({"wire"}),
        "console": frozenset({"wire", "runtime"}),
        "tracker": frozenset({"wire", "runtime", "console"}),
        "peer": frozenset({"wire", "runtime", "console"}),
        "shaper": frozenset({"wire", "runtime", "console"}),
        "adapters": frozenset({"wire", "runtime", "console"}),
        "sniffer": frozenset(),
        "lab": frozenset({"wire", "runtime", "shaper", "sniffer"}),
    },
    f"{PACKAGE}.lab": {
        "scenario": frozenset(),
        "engines": frozenset({"scenario"}),
        "network": frozenset({"scenario", "engines"}),
        "home": frozenset({"engines", "scenario"}),
        "capture": frozenset({"scenario", "engines"}),
        "run": frozenset({"scenario", "engines", "network", "home", "capture"}),
        "verdict": frozenset({"scenario", "engines", "network", "run"}),
        "report": frozenset({"scenario", "engines", "network", "home", "run", "verdict"}),
        "api": _LAB_BELOW_API,
        "tools": _LAB_BELOW_API | {"api"},
        "ui": _LAB_BELOW_API | {"api"},
        "cli": _LAB_BELOW_API | {"api", "tools", "ui"},
    },
    f"{PACKAGE}.tracker": {
        "swarms": frozenset(),
        "journal": frozenset({"swarms"}),
        "handlers": frozenset({"swarms", "journal"}),
        "fastpath": frozenset({"swarms", "journal", "handlers"}),
    },
    f"{PACKAGE}.peer": {
        "tracker_client": frozenset(),
        "storage": frozenset(),
        "scheduling": frozenset(),
        "transfer": frozenset({"storage", "scheduling"}),
        "strategies": frozenset({"tracker_client", "storage", "scheduling", "transfer"}),
    },
}
"""Package -> a folder or module of it -> the other ones of these that it may import.

A module of the package that is not listed may import all of them, and be imported by all: that no modules import each
other is a test of its own.
"""

PICTURE: Final = ROOT / "ARCHITECTURE.md"
BEGIN: Final = "<!-- drawn by `python -m scripts.rooms`: begin -->\n"
END: Final = "<!-- end -->\n"


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement's name, in the file that has it."""

    module: str
    """Dotted name of the module that imports."""
    line: int
    name: str
    """Dotted name of what is imported: a module, or a name in one."""


@functools.cache
def parsed(path: Path) -> ast.Module:
    """Return a file's syntax tree; each file is parsed once."""
    return ast.parse(path.read_text("utf-8"), str(path))


def modules(root: Path = ROOT, package: str = PACKAGE) -> dict[str, Path]:
    """Return every module of the package by its dotted name; a package stands for its ``__init__.py``."""
    found = {}
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, root: Path = ROOT) -> Iterator[Import]:
    """Yield everything that a file imports, wherever in it and under whatever condition.

    Raises SyntaxError for a call of ``import_module`` whose argument is no literal.
    """
    parts = path.relative_to(root).with_suffix("").parts
    package = parts[:-1]
    module = ".".join(package if parts[-1] == "__init__" else parts)
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            base += node.module.split(".") if node.module else []
            for alias in node.names:
                yield Import(module, node.lineno, ".".join([*base, alias.name]))
        elif isinstance(node, ast.Call) and _dotted(node.func) in {"__import__", "importlib.import_module"}:
            name = node.args[0]
            if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
                raise SyntaxError(f"{path}:{node.lineno}: the imported name must be a literal")  # noqa: TRY004
            yield Import(module, node.lineno, name.value)


def _dotted(node: ast.expr) -> str:
    """Return a name with at most one dot as text; empty for any other expression."""
    match node:
        case ast.Name(name):
            return name
        case ast.Attribute(ast.Name(owner), name):
            return f"{owner}.{name}"
    return ""


@functools.cache
def module_graph(root: Path = ROOT, package: str = PACKAGE) -> dict[str, set[str]]:
    """Return, for each module, the modules of the package that it imports, those for type checking included."""
    known = modules(root, package)
    graph: dict[str, set[str]] = {}
    for module, path in known.items():
        targets = (resolve(found.name, known) for found in imports(path, root))
        graph[module] = {target for target in targets if target is not None and target != module}
    return graph


def resolve(name: str, known: Mapping[str, Path]) -> str | None:
    """Return the module that a dotted name belongs to; None for what is not ours."""
    while name:
        if name in known:
            return name
        name = name.rpartition(".")[0]
    return None


def room_of(module: str, depth: int = 1) -> str:
    """Return a module's room: the first part below ``torrentnet``, or below one of its folders for a larger depth."""
    parts = module.split(".")
    return parts[depth] if len(parts) > depth else ""


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import each other, directly or through others (Tarjan's algorithm)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for target in sorted(graph.get(module, ())):
            if target not in index:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in stack:
                low[module] = min(low[module], index[target])
        if low[module] == index[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                found.append(sorted(group))

    sys.setrecursionlimit(max(sys.getrecursionlimit(), 10 * len(graph)))
    for module in sorted(graph):
        if module not in index:
            visit(module)
    return sorted(found)


def picture() -> str:
    """Draw the allowed arrows as Mermaid; an arrow that follows from two others is left out."""
    chunks = []
    for prefix, allowed in ARROWS.items():
        inside = prefix.partition(".")[2]
        title = f"Inside `{inside}`" if inside else "Rooms"
        found = without_shortcuts(allowed)
        lines = ["```mermaid", "flowchart TD"]
        lines += [f"    {room} --> {other}" for room in found for other in sorted(found[room])]
        lines += [
            f"    {room}"
            for room in found
            if not any(room in {one, *others} for one, others in found.items() if others)
        ]
        chunks.append(f"**{title}**\n\n" + "\n".join([*lines, "```"]) + "\n")
    return "\n".join(chunks)


def without_shortcuts(found: Mapping[str, Set[str]]) -> dict[str, set[str]]:
    """Return the arrows without those that a longer way replaces (a transitive reduction; no cycles)."""
    return {
        room: {
            other
            for other in others
            if not any(other in _reachable(found, middle) for middle in others if middle != other)
        }
        for room, others in found.items()
    }


def _reachable(found: Mapping[str, Set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    ahead = [start]
    while ahead:
        for other in found.get(ahead.pop(), ()):
            if other not in seen:
                seen.add(other)
                ahead.append(other)
    return seen


def with_picture(page: str) -> str:
    """Return a page with the picture between its two marks."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{picture()}\n{END}{after}"


if __name__ == "__main__":
    PICTURE.write_text(with_picture(PICTURE.read_text("utf-8")), "utf-8")
