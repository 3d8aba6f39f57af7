"""Words of the pictures.

Names come from outside: they are shortened, and what could act on a reader is escaped.

Tested by tests/unit/lab/report/graph/test_pictures.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.lab.report.graph.network_graph import MAX_NOTES, End, LinkKind
from torrentnet.lab.scenario.plan.plan import Role
from torrentnet.runtime.text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torrentnet.lab.report.graph.network_graph import GraphLink, GraphNode, NetworkGraph

SPECIAL: Final = (LinkKind.IMPAIRED, LinkKind.CUT)
"""The links that differ from what the programs would find on an idle machine."""
MAX_LABEL: Final = 60
"""Characters of a label; a longer one is cut and ends in an ellipsis."""
MAX_TEXT: Final = 300
"""Characters of a sentence."""


def shown(text: str, most: int = MAX_LABEL) -> str:
    """Return text for one line of a picture."""
    text = escape_controls(text[: most + 1])
    return text if len(text) <= most else text[: most - 1] + "…"


def node_lines(node: GraphNode, common: Sequence[str] = ()) -> list[str]:
    """Return the lines of a node's label: its name, its own settings, and its state.

    ``common`` are the words that the label of its group has already.
    """
    name = shown(node.name) + (f" ×{node.members}" if node.members > 1 else "")
    words = [*([] if node.name == node.task else [node.task]), *node.settings]
    own = ", ".join(word for word in words if word not in common)
    return [line for line in (name, shown(own), shown(node.state)) if line]


def common_words(nodes: Sequence[GraphNode]) -> list[str]:
    """Return what all nodes of a group do, and the settings that they share."""
    first = nodes[0]
    tasks = [first.task] if all(node.task == first.task for node in nodes) else []
    return tasks + [word for word in first.settings if all(word in node.settings for node in nodes)]


def link_sentence(link: GraphLink) -> str:
    """Return a link in words: ``seeder to leecher: loss 5%``."""
    if link.source == link.target:
        ends = f"within {shown(link.source.name)}"
    else:
        ends = f"{shown(link.source.name)} {'and' if link.both else 'to'} {shown(link.target.name)}"
    return f"{ends}: {shown(link.text)}" if link.text else ends


def counted(lines: Sequence[str], what: str) -> list[str]:
    """Return the first lines, and a line that counts the others."""
    if len(lines) <= MAX_NOTES:
        return list(lines)
    return [*lines[: MAX_NOTES - 1], f"and {len(lines) - MAX_NOTES + 1} more {what}"]


def notes_of(graph: NetworkGraph) -> list[str]:
    """Return the notes below a picture."""
    return counted([shown(note, MAX_TEXT) for note in graph.notes], "notes")


def description(graph: NetworkGraph) -> str:
    """Return the picture in sentences, for readers who do not see it."""
    groups = []
    for group, nodes in graph.groups.items():
        number = sum(node.members for node in nodes)
        does = nodes[0].task
        head = does if number == 1 and group == does else f"{shown(group)}: {number} node{'s' * (number > 1)}, {does}"
        gone = [f"{shown(node.name)}: {shown(node.state)}" for node in nodes if node.state]
        groups.append(shown("; ".join([head, *counted(gone, "nodes")]), MAX_TEXT))
    special = [link_sentence(link) for link in graph.links if link.kind in SPECIAL]
    about = [shown(graph.about, MAX_TEXT).rstrip(".")] if graph.about else []
    files = [f"{shown(file)} has {size}" for file, size in graph.files if size]
    lines = [*about, *counted(groups, "groups"), *counted(files, "files"), *counted(special, "links")]
    return ". ".join([*lines, *notes_of(graph)]) + "."


def inner_words(graph: NetworkGraph) -> dict[str, list[str]]:
    """Return the special links of groups and nodes to themselves, in words.

    They cannot be drawn.
    """
    found: dict[str, list[str]] = {}
    for link in graph.links:
        if link.source == link.target and link.kind in SPECIAL:
            words = "cut off from each other" if link.kind is LinkKind.CUT else f"among them: {link.text}"
            found.setdefault(link.source.name, []).append(shown(words))
    return found


def file_lines(graph: NetworkGraph) -> dict[str, list[str]]:
    """Return the label of each file."""
    return {file: [shown(file), *([size] if size else [])] for file, size in graph.files}


@dataclass(frozen=True, slots=True)
class SwarmEdge:
    """A node, or a group of them, and the file that it sends or receives."""

    end: End
    file: str
    sends_only: bool


def swarm_edges(graph: NetworkGraph) -> Iterator[SwarmEdge]:
    """Yield who takes part in which file's swarm.

    A group is one edge where all of its nodes do the same.
    """
    for group, nodes in graph.groups.items():
        alike = len({(node.file, node.role) for node in nodes}) == 1 and len(nodes) > 1
        for node in nodes[:1] if alike else nodes:
            if node.file:
                end = End(group, is_group=True) if alike else End(node.name)
                yield SwarmEdge(end, node.file, node.role == Role.SHARE)
