"""A network in DOT, the language of Graphviz.

Tested by tests/unit/lab/report/graph/test_pictures.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.lab.report.graph.labels import (
    common_words,
    description,
    file_lines,
    inner_words,
    node_lines,
    notes_of,
    shown,
    swarm_edges,
)
from torrentnet.lab.report.graph.network_graph import End, LinkKind
from torrentnet.lab.scenario.plan.plan import Role
from torrentnet.runtime.text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torrentnet.lab.report.graph.network_graph import GraphNode, NetworkGraph

STYLES: Final = {
    LinkKind.ANNOUNCE: 'style="dotted", color="gray40"',
    LinkKind.IMPAIRED: 'style="bold", color="darkorange3"',
    LinkKind.CUT: 'style="dashed", color="red3", arrowhead="tee", arrowtail="tee"',
}
FILE_STYLE: Final = 'color="dodgerblue4"'


def dot(graph: NetworkGraph) -> str:
    """Return the text of a directed graph."""
    return "\n".join(_lines(graph)) + "\n"


def _lines(graph: NetworkGraph) -> Iterator[str]:
    inner = inner_words(graph)
    yield f"digraph {_quoted(shown(graph.heading))} {{"
    title = [shown(graph.heading), *notes_of(graph)]
    yield f"    graph [label={_label(title)}, tooltip={_label([description(graph)])}, labelloc=t, compound=true,"
    yield '           rankdir=LR, fontname="Helvetica"];'
    yield '    node [shape=box, fontname="Helvetica"];'
    yield '    edge [fontname="Helvetica"];'
    for group, nodes in graph.groups.items():
        if len(nodes) == 1:
            yield f"    {_node(nodes[0], [], inner)}"
            continue
        common = common_words(nodes)
        heading = [
            ": ".join(shown(word) for word in (group, *common[:1])),
            shown(", ".join(common[1:])),
            *inner.get(group, []),
        ]
        yield f"    subgraph {_quoted(_cluster(group))} {{"
        yield f"        label={_label(heading)};"
        yield from (f"        {_node(node, common, {})}" for node in nodes)
        yield "    }"
    groups = graph.groups
    for link in graph.links:
        if link.source != link.target and link.kind is not LinkKind.FILE:
            attributes = [STYLES[link.kind], *(["dir=both"] if link.both else [])]
            attributes += [f"label={_label([shown(link.text)])}"] if link.text else []
            yield f"    {_edge(link.source, link.target, attributes, groups)}"
    edges = list(swarm_edges(graph))
    labels = file_lines(graph)
    for file in dict.fromkeys(edge.file for edge in edges):
        yield f"    {_quoted(_file(file))} [label={_label(labels.get(file, [shown(file)]))}, shape=note];"
    for edge in edges:
        attributes = [FILE_STYLE, *([] if edge.sends_only else ["dir=both"])]
        yield f"    {_edge(edge.end, End(_file(edge.file)), attributes, groups)}"
    yield "}"


def _node(node: GraphNode, common: list[str], inner: Mapping[str, list[str]]) -> str:
    shape = ", shape=cylinder" if node.role == Role.TRACKER else ""
    return f"{_quoted(node.name)} [label={_label([*node_lines(node, common), *inner.get(node.name, [])])}{shape}];"


def _edge(source: End, target: End, attributes: list[str], groups: Mapping[str, tuple[GraphNode, ...]]) -> str:
    for end, name in ((source, "ltail"), (target, "lhead")):
        if end.is_group:
            attributes.append(f"{name}={_quoted(_cluster(end.name))}")
    ends = f"{_quoted(_member(source, groups))} -> {_quoted(_member(target, groups))}"
    return f"{ends} [{', '.join(attributes)}];"


def _member(end: End, groups: Mapping[str, tuple[GraphNode, ...]]) -> str:
    """Return the node at which an edge is attached: the middle one of a group."""
    if not end.is_group:
        return end.name
    nodes = groups[end.name]
    return nodes[len(nodes) // 2].name


def _cluster(group: str) -> str:
    return f"cluster_{group}"


def _file(name: str) -> str:
    return f"file {name}"


def _quoted(name: str) -> str:
    """Return an identifier; a quoted one may have any character."""
    return '"' + escape_controls(name).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _label(lines: list[str]) -> str:
    """Return a label; Graphviz reads backslashes and HTML's entities there."""
    texts = (line.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"') for line in lines if line)
    return '"' + "\\n".join(texts) + '"'
