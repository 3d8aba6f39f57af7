"""A network as a Mermaid flowchart, which GitHub and GitLab draw inside Markdown.

Tested by tests/unit/lab/report/graph/test_pictures.py.
"""

from __future__ import annotations

import re
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
from torrentnet.lab.report.graph.network_graph import LinkKind
from torrentnet.lab.scenario.plan.plan import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torrentnet.lab.report.graph.network_graph import End, GraphNode, NetworkGraph

ONE_WAY: Final = {LinkKind.ANNOUNCE: "-.->", LinkKind.IMPAIRED: "==>", LinkKind.CUT: "--x"}
BOTH_WAYS: Final = {LinkKind.ANNOUNCE: "<-.->", LinkKind.IMPAIRED: "<==>", LinkKind.CUT: "x--x"}
TITLE_ROOM: Final = '%%{init: {"flowchart": {"subGraphTitleMargin": {"bottom": 28}}}}%%'
"""A group's title may have two lines; without this, the second one is drawn over the nodes."""
_PLAIN: Final = re.compile(r"[^\w .,:()%/×…-]")


def mermaid(graph: NetworkGraph) -> str:
    """Return the text of a flowchart."""
    return "\n".join(_lines(graph)) + "\n"


def _lines(graph: NetworkGraph) -> Iterator[str]:
    yield TITLE_ROOM
    yield "flowchart LR"
    yield f"    accTitle: {_sentence(shown(graph.heading))}"
    yield f"    accDescr: {_sentence(description(graph))}"
    ids = {node.name: f"n{index}" for index, node in enumerate(graph.nodes)}
    group_ids = {group: f"g{index}" for index, group in enumerate(graph.groups)}
    inner = inner_words(graph)
    for group, nodes in graph.groups.items():
        if len(nodes) == 1:
            yield f"    {_node(nodes[0], ids, [], inner)}"
            continue
        common = common_words(nodes)
        title = [
            ": ".join(shown(word) for word in (group, *common[:1])),
            shown(", ".join(common[1:])),
            *inner.get(group, []),
        ]
        yield f"    subgraph {group_ids[group]} [{_quoted(title)}]"
        yield from (f"        {_node(node, ids, common, {})}" for node in nodes)
        yield "    end"

    def end_id(end: End) -> str:
        return group_ids[end.name] if end.is_group else ids[end.name]

    for link in graph.links:
        if link.source == link.target or link.kind is LinkKind.FILE:
            continue
        arrow = (BOTH_WAYS if link.both else ONE_WAY)[link.kind]
        text = f"|{_quoted([shown(link.text)])}|" if link.text else ""
        yield f"    {end_id(link.source)} {arrow}{text} {end_id(link.target)}"
    edges = list(swarm_edges(graph))
    files = {file: f"f{index}" for index, file in enumerate(dict.fromkeys(edge.file for edge in edges))}
    labels = file_lines(graph)
    yield from (f"    {key}[({_quoted(labels.get(file, [shown(file)]))})]" for file, key in files.items())
    for edge in edges:
        yield f"    {end_id(edge.end)} {'-->' if edge.sends_only else '<-->'} {files[edge.file]}"
    for index, note in enumerate(notes_of(graph)):
        yield f"    note{index}>{_quoted([note])}]"


def _node(node: GraphNode, ids: dict[str, str], common: list[str], inner: dict[str, list[str]]) -> str:
    label = _quoted([*node_lines(node, common), *inner.get(node.name, [])])
    return f"{ids[node.name]}([{label}])" if node.role == Role.TRACKER else f"{ids[node.name]}[{label}]"


def _quoted(lines: list[str]) -> str:
    return '"' + "<br/>".join(_escape(line) for line in lines if line) + '"'


def _escape(text: str) -> str:
    """Escape what Mermaid, Markdown or HTML could read as more than text."""
    return _PLAIN.sub(lambda match: f"#{ord(match[0])};", text)


def _sentence(text: str) -> str:
    """Return text for a line of its own, in which Mermaid has no quotes."""
    return _PLAIN.sub(" ", text)
