"""A network as an SVG: a ring of nodes.

The nodes are in the order of the plan, clockwise from the top. The viewer of a run has its nodes at the same places.
Colours follow the reader's light or dark theme, and each kind of link also has a pattern of its own.

Tested by tests/unit/lab/report/graph/test_pictures.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from torrentnet.lab.report.graph.labels import (
    MAX_TEXT,
    SPECIAL,
    common_words,
    counted,
    description,
    file_lines,
    inner_words,
    link_sentence,
    node_lines,
    notes_of,
    shown,
)
from torrentnet.lab.report.graph.network_graph import LinkKind
from torrentnet.lab.scenario.plan.plan import Role
from torrentnet.runtime.text import wrap_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torrentnet.lab.report.graph.network_graph import GraphLink, GraphNode, NetworkGraph
    from torrentnet.lab.scenario.qualities import Pair

WIDTH: Final = 720
"""Of the whole picture; it is scaled to the reader's window."""
LABEL_ROOM: Final = 190
"""Space for the labels around the ring."""
MAX_LEVEL_LABELS: Final = 12
"""Nodes whose labels are horizontal; more are written along the ring's radius."""
NODE_SPACE: Final = 20
"""Of the circumference, at least, for each node."""
COLUMNS: Final = 92
"""Characters of a line of text."""
LABEL_COLUMNS: Final = 26
"""Characters of a line of a horizontal label; a longer word is shortened where it is drawn."""
LINE: Final = 18
BEND: Final = 0.14
"""Of a one-way link's length: the two directions of a pair are drawn beside each other."""
STYLE: Final = """
    svg { --ink: #1f2328; --paper: #ffffff; --quiet: #59636e; --file: #0550ae; --impaired: #8a4600; --cut: #b3131f;
      font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
    @media (prefers-color-scheme: dark) {
      svg { --ink: #e6edf3; --paper: #0d1117; --quiet: #9198a1; --file: #79c0ff; --impaired: #f0b35a; --cut: #ff8a80; }
    }
    .paper { fill: var(--paper); } text { fill: var(--ink); } .quiet { fill: var(--quiet); } .head { font-size: 17px;
      font-weight: 600; } .name { font-weight: 600; } path { fill: none; stroke-width: 1.6; }
    .announce { stroke: var(--quiet); stroke-width: 1; stroke-dasharray: 1 4; stroke-linecap: round; }
    .file { stroke: var(--file); stroke-width: 1.2; } .impaired { stroke: var(--impaired); stroke-dasharray: 9 4; }
    .cut { stroke: var(--cut); stroke-width: 2; stroke-dasharray: 2 6; } .many { stroke-width: 1; opacity: 0.35; }
    .tip-announce { fill: var(--quiet); } .tip-file { fill: var(--file); } .tip-impaired { fill: var(--impaired); }
    .tip-cut { fill: var(--cut); } .node { fill: var(--paper); stroke: var(--ink); stroke-width: 1.8; }
    .share { fill: var(--ink); } .gone { stroke-dasharray: 3 3; stroke: var(--quiet); fill: var(--paper); }
    .badge { fill: var(--paper); stroke: var(--ink); } .number { font-size: 11px; }
"""
KINDS: Final = {
    LinkKind.ANNOUNCE: "announces itself to the tracker",
    LinkKind.FILE: "can send pieces of a file",
    LinkKind.IMPAIRED: "has a rate, a delay or losses",
    LinkKind.CUT: "is cut: no packet arrives",
}


@dataclass(frozen=True, slots=True)
class _Place:
    x: float
    y: float
    angle: float
    """Clockwise from the right."""


def svg(graph: NetworkGraph) -> str:
    """Return the text of the picture."""
    return "\n".join(_elements(graph)) + "\n"


def ring_angle(index: int, count: int) -> float:
    """Return a node's angle in radians, clockwise from the right.

    The first node is at the top.
    """
    return -math.pi / 2 + 2 * math.pi * index / max(1, count)


def _elements(graph: NetworkGraph) -> Iterator[str]:
    radius = max(130.0, NODE_SPACE * len(graph.nodes) / (2 * math.pi))
    width = max(WIDTH, round(2 * (radius + LABEL_ROOM)))
    about = wrap_line(shown(graph.about, 400), COLUMNS, 0) if graph.about else []
    top = 36 + LINE * len(about)
    room = 70 if len(graph.nodes) <= MAX_LEVEL_LABELS else LABEL_ROOM
    middle = top + room + radius
    places = {
        node.name: _Place(
            width / 2 + radius * math.cos(angle := ring_angle(index, len(graph.nodes))),
            middle + radius * math.sin(angle),
            angle,
        )
        for index, node in enumerate(graph.nodes)
    }
    special = [link for link in graph.links if link.kind in SPECIAL]
    legend = list(_legend(graph, special, round(middle + radius + room + 10)))
    height = round(middle + radius + room + 10 + LINE * (len(legend) + 1))
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-labelledby="title description">'
    )
    yield f'  <title id="title">{_text(shown(graph.heading))}</title>'
    yield f'  <desc id="description">{_text(description(graph))}</desc>'
    yield f"  <style>{STYLE}  </style>"
    yield from _tips()
    yield f'  <rect class="paper" width="{width}" height="{height}"/>'
    yield f'  <text class="head" x="16" y="26">{_text(shown(graph.heading))}</text>'
    for index, line in enumerate(about):
        yield f'  <text class="quiet" x="16" y="{46 + LINE * index}">{_text(line)}</text>'
    size = 13 if len(graph.nodes) <= 2 * MAX_LEVEL_LABELS else 7
    for link in graph.links:
        yield from (f"  {_chord(link, pair, places, size)}" for pair in link.pairs if pair[0] != pair[1])
    for number, link in enumerate(special, 1):
        yield from _badge(number, link, places)
    inner = inner_words(graph)
    level = len(graph.nodes) <= MAX_LEVEL_LABELS
    for nodes in graph.groups.values():
        common = common_words(nodes) if len(nodes) > 1 else []
        for node in nodes:
            extra = inner.get(node.name, []) if len(nodes) == 1 else []
            if level:
                lines = [part for line in node_lines(node, common) for part in wrap_line(line, LABEL_COLUMNS, 0)]
            else:
                lines = [": ".join(word for word in (node_lines(node)[0], shown(node.state)) if word)]
            yield from _node(node, [*lines, *extra], places[node.name], size, level=level)
    yield from legend
    yield "</svg>"


def _tips() -> Iterator[str]:
    """Yield the heads of the arrows, one for each kind of link.

    A marker cannot inherit its line's colour everywhere.
    """
    yield "  <defs>"
    for kind in KINDS:
        shape = "M4,0 L6,0 L6,10 L4,10 z" if kind is LinkKind.CUT else "M0,0 L9,5 L0,10 z"
        yield (
            f'    <marker id="tip-{kind}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9" markerHeight="9" '
            f'markerUnits="userSpaceOnUse" orient="auto-start-reverse"><path class="tip-{kind}" d="{shape}"/></marker>'
        )
    yield "  </defs>"


def _chord(link: GraphLink, pair: Pair, places: dict[str, _Place], size: float) -> str:
    (x1, y1), (cx, cy), (x2, y2) = _curve(link, pair, places, size + 4)
    tips = f'marker-end="url(#tip-{link.kind})"' + (f' marker-start="url(#tip-{link.kind})"' if link.both else "")
    look = str(link.kind)
    if link.kind in {LinkKind.FILE, LinkKind.ANNOUNCE} and len(places) > MAX_LEVEL_LABELS:
        look, tips = f"{look} many", ""
    return f'<path class="{look}" d="M{x1:.1f},{y1:.1f} Q{cx:.1f},{cy:.1f} {x2:.1f},{y2:.1f}" {tips}/>'


def _curve(
    link: GraphLink, pair: Pair, places: dict[str, _Place], gap: float
) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float]]:
    """Return a link's start, control point and end; both stay clear of the nodes."""
    one, other = places[pair[0]], places[pair[1]]
    dx, dy = other.x - one.x, other.y - one.y
    length = math.hypot(dx, dy) or 1.0
    ux, uy = dx / length, dy / length
    bend = 0.0 if link.both or link.kind in {LinkKind.ANNOUNCE, LinkKind.FILE} else BEND * length
    return (
        (one.x + ux * gap, one.y + uy * gap),
        ((one.x + other.x) / 2 - uy * bend, (one.y + other.y) / 2 + ux * bend),
        (other.x - ux * gap, other.y - uy * gap),
    )


def _badge(number: int, link: GraphLink, places: dict[str, _Place]) -> Iterator[str]:
    """Yield the number of a link's line below the picture, at one of its chords."""
    pairs = [pair for pair in link.pairs if pair[0] != pair[1]]
    if not pairs:
        return
    (x1, y1), (cx, cy), (x2, y2) = _curve(link, pairs[len(pairs) // 2], places, 0)
    t = 0.4  # not in the middle, where many chords meet
    x = (1 - t) ** 2 * x1 + 2 * t * (1 - t) * cx + t * t * x2
    y = (1 - t) ** 2 * y1 + 2 * t * (1 - t) * cy + t * t * y2
    yield f'  <circle class="badge" cx="{x:.1f}" cy="{y:.1f}" r="9"/>'
    yield f'  <text class="number" x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">{number}</text>'


def _node(node: GraphNode, lines: Sequence[str], place: _Place, size: float, *, level: bool) -> Iterator[str]:
    state = " gone" if node.state.startswith("gone") else ""
    if node.role == Role.TRACKER:
        side = 2 * size
        box = f'x="{place.x - size:.1f}" y="{place.y - size:.1f}" width="{side}" height="{side}" rx="3"'
        yield f'  <rect class="node tracker{state}" {box}/>'
    else:
        kind = "share" if node.role == Role.SHARE else "get"
        yield f'  <circle class="node {kind}{state}" cx="{place.x:.1f}" cy="{place.y:.1f}" r="{size}"/>'
    yield from _level_label(lines, place, size) if level else _radial_label(lines, place, size)


def _level_label(lines: Sequence[str], place: _Place, size: float) -> Iterator[str]:
    cosine, sine = math.cos(place.angle), math.sin(place.angle)
    anchor = "start" if cosine > 0.2 else "end" if cosine < -0.2 else "middle"
    x = place.x + (size + 7) * (1 if cosine > 0.2 else -1 if cosine < -0.2 else 0)
    y = place.y + 5 - LINE * (len(lines) - 1) / 2
    if anchor == "middle":
        y = place.y + size + LINE if sine > 0 else place.y - size - 7 - LINE * (len(lines) - 1)
    for index, line in enumerate(lines):
        look = "name" if index == 0 else "quiet"
        at = f'x="{x:.1f}" y="{y + LINE * index:.1f}"'
        yield f'  <text class="{look}" {at} text-anchor="{anchor}">{_text(shown(line, LABEL_COLUMNS))}</text>'


def _radial_label(lines: Sequence[str], place: _Place, size: float) -> Iterator[str]:
    degrees, left = math.degrees(place.angle), math.cos(place.angle) < 0
    turn = degrees + 180 if left else degrees
    offset, anchor = (-(size + 7), "end") if left else (size + 7, "start")
    text = shown(", ".join(lines), LABEL_COLUMNS)
    yield (
        f'  <text transform="translate({place.x:.1f},{place.y:.1f}) rotate({turn:.1f})" x="{offset}" y="4" '
        f'text-anchor="{anchor}">{_text(text)}</text>'
    )


def _legend(graph: NetworkGraph, special: Sequence[GraphLink], y: int) -> Iterator[str]:
    """Yield what is below the ring.

    It is the kinds of links, the groups, the files, the numbered links, and the notes.
    """
    for kind in dict.fromkeys(link.kind for link in graph.links):
        yield (
            f'  <path class="{kind}" d="M16,{y - 4} L56,{y - 4}" marker-end="url(#tip-{kind})"/>'
            f'<text x="66" y="{y}">{KINDS[kind]}</text>'
        )
        y += LINE
    inner = inner_words(graph)
    lines = []
    for group, nodes in graph.groups.items():
        if len(nodes) > 1 or len(graph.nodes) > MAX_LEVEL_LABELS:
            words = [word for word in (*common_words(nodes), *inner.get(group, [])) if word != group]
            lines.append(": ".join(part for part in (shown(group), shown(", ".join(words), MAX_TEXT)) if part))
    numbered = [f"{number}  {link_sentence(link)}" for number, link in enumerate(special, 1)]
    files = [" ".join(label) for label in file_lines(graph).values()]
    for line in [*counted(lines, "groups"), *counted(files, "files"), *counted(numbered, "links"), *notes_of(graph)]:
        for part in wrap_line(line, COLUMNS):
            yield f'  <text x="16" y="{y}">{_text(part)}</text>'
            y += LINE


def _text(text: str) -> str:
    return escape(text)
