"""The network of a lab as nodes and links that can be drawn.

A link joins two nodes, or two groups of nodes where all of their pairs are alike. Large groups are drawn as one node.

Tested by tests/unit/lab/report/graph/test_pictures.py.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from torrentnet.lab.scenario.language.scalars import format_duration, format_rate, format_share
from torrentnet.lab.scenario.plan.plan import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torrentnet.lab.scenario.qualities import LinkQualities, Pair

MAX_MEMBERS: Final = 20
"""Nodes of a group that are drawn one by one; a larger group is drawn as one node."""
MAX_NODES: Final = 60
"""Nodes that are drawn one by one in all; in a larger network each group is drawn as one node."""
MAX_SINGLE_PAIRS: Final = 12
"""Pairs between two groups that are drawn one by one where not all pairs of the groups are alike."""
TASKS: Final[Mapping[str, str]] = {
    Role.TRACKER: "tracker",
    Role.SHARE: "shares",
    Role.GET: "gets",
    Role.RUN: "runs",
}
MAX_NOTES: Final = 12
"""Settings, groups and links that are written beside a picture; the others are counted."""


class LinkKind(StrEnum):
    """What a link of the picture stands for."""

    ANNOUNCE = "announce"
    """A peer announces itself to the tracker."""
    FILE = "file"
    """Two peers can exchange a file."""
    IMPAIRED = "impaired"
    """The link has a rate, a delay or losses."""
    CUT = "cut"
    """No packet arrives."""


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A node, or a group that is drawn as one."""

    name: str
    group: str
    role: str
    """``tracker``, ``share``, ``get`` or ``run``."""
    file: str = ""
    """The file that it shares or gets."""
    program: str = ""
    """The program that it runs; empty for our own."""
    settings: tuple[str, ...] = ()
    """``upload 16mbit``."""
    state: str = ""
    """At a moment of a run: ``seed``, ``gone``, ``get 40 %``."""
    members: int = 1
    """The number of nodes that it stands for."""

    @property
    def task(self) -> str:
        """What the node does, in a few words."""
        text = " ".join(word for word in (TASKS.get(self.role, self.role), self.file) if word)
        return f"{text} ({self.program})" if self.program else text


@dataclass(frozen=True, slots=True)
class End:
    """One end of a link: a node, or all nodes of a group."""

    name: str
    is_group: bool = False


@dataclass(frozen=True, slots=True)
class GraphLink:
    """A link of the picture."""

    source: End
    target: End
    kind: LinkKind
    text: str
    """``loss 5%, delay 20ms``; empty for links that are as they are without a setting."""
    both: bool
    """Whether it is the same in both directions."""
    pairs: tuple[Pair, ...]
    """The nodes that it joins: each pair once if it is the same in both directions."""


@dataclass(frozen=True, slots=True)
class NetworkGraph:
    """A picture's content."""

    title: str
    about: str
    nodes: tuple[GraphNode, ...]
    """In the order of the plan."""
    links: tuple[GraphLink, ...]
    at: float | None = None
    """Seconds after t = 0 for a moment of a run; None for the network as planned."""
    files: tuple[tuple[str, str], ...] = ()
    """The files with their sizes, empty where unknown."""
    notes: tuple[str, ...] = ()
    """What else a reader must know: the faults in force, what is not drawn."""

    @property
    def groups(self) -> dict[str, tuple[GraphNode, ...]]:
        """The nodes of each group, in order."""
        found: dict[str, list[GraphNode]] = {}
        for node in self.nodes:
            found.setdefault(node.group, []).append(node)
        return {group: tuple(nodes) for group, nodes in found.items()}

    @property
    def heading(self) -> str:
        """The title with the moment."""
        return self.title if self.at is None else f"{self.title} at {format_duration(self.at)}"


def build_graph(
    title: str,
    about: str,
    nodes: Sequence[GraphNode],
    qualities: Mapping[Pair, LinkQualities],
    *,
    at: float | None = None,
    files: Iterable[tuple[str, str]] = (),
    notes: Iterable[str] = (),
) -> NetworkGraph:
    """Return the picture of a network.

    ``qualities`` are those of directed pairs; a pair that is not there is as fast as the machine.
    """
    nodes, qualities = _with_uplinks(nodes, qualities)
    drawn, stands_for = _collapse(nodes)
    texts = _overlay_texts(qualities, nodes)
    wanted: dict[tuple[LinkKind, str], Counter[Pair]] = {}
    for (source, target), (kind, text) in texts.items():
        pair = (stands_for[source], stands_for[target])
        wanted.setdefault((kind, text), Counter())[pair] += 1
    links = [*_base_links(drawn, texts, stands_for)]
    sizes = {node.name: node.members for node in drawn}
    for (kind, text), counted in wanted.items():
        links += _links_of(drawn, kind, text, counted, sizes)
    return NetworkGraph(title, about, tuple(drawn), tuple(links), at, tuple(files), tuple(notes))


def describe(qualities: LinkQualities) -> str:
    """Return ``rate 1mbit, loss 5%`` for the qualities of one link; empty for none."""
    effective = qualities.effective()
    words = []
    for name in effective.asked():
        value = getattr(effective, name)
        if name in {"rate", "uplink"}:
            words.append(f"{name} {format_rate(value)}")
        elif name in {"delay", "jitter"}:
            words.append(f"{name} {format_duration(value)}")
        elif name != "cut":
            words.append(f"{name} {format_share(value)}")
    return ", ".join(words)


def _with_uplinks(
    nodes: Sequence[GraphNode], qualities: Mapping[Pair, LinkQualities]
) -> tuple[list[GraphNode], dict[Pair, LinkQualities]]:
    """Move the uplinks from the links to the nodes that have them."""
    uplinks: dict[str, float] = {}
    rest = {}
    # Thousands of pairs have the same few qualities in common.
    split: dict[LinkQualities, tuple[float | None, LinkQualities | None]] = {}
    for pair, asked in qualities.items():
        if asked not in split:
            effective = asked.effective()
            other = replace(effective, uplink=None)
            split[asked] = (effective.uplink, other if other.asked() else None)
        uplink, left = split[asked]
        if uplink is not None:
            uplinks[pair[0]] = uplink
        if left is not None:
            rest[pair] = left
    changed = [
        replace(node, settings=(*node.settings, f"uplink {format_rate(uplinks[node.name])}"))
        if node.name in uplinks
        else node
        for node in nodes
    ]
    return changed, rest


def _collapse(nodes: Sequence[GraphNode]) -> tuple[list[GraphNode], dict[str, str]]:
    """Return the nodes that are drawn, and for each node the one that stands for it."""
    sizes = Counter(node.group for node in nodes)
    left = sum(size if size <= MAX_MEMBERS else 1 for size in sizes.values())
    most = MAX_MEMBERS if left <= MAX_NODES else 1
    drawn: list[GraphNode] = []
    stands_for: dict[str, str] = {}
    members: dict[str, list[GraphNode]] = {}
    for node in nodes:
        members.setdefault(node.group, []).append(node)
    for node in nodes:
        group = members[node.group]
        if len(group) <= most:
            drawn.append(node)
            stands_for[node.name] = node.name
            continue
        if node is group[0]:
            drawn.append(_summary(node.group, group))
        stands_for[node.name] = node.group
    return drawn, stands_for


def _summary(name: str, group: Sequence[GraphNode]) -> GraphNode:
    """Return one node for a group, with what its nodes have in common."""
    first = group[0]
    states = Counter(node.state.partition(" ")[0] for node in group if node.state)
    return replace(
        first,
        name=name,
        settings=tuple(word for word in first.settings if all(word in node.settings for node in group)),
        state=", ".join(f"{count} {state}" for state, count in states.most_common()),
        members=len(group),
    )


def _overlay_texts(
    qualities: Mapping[Pair, LinkQualities], nodes: Sequence[GraphNode]
) -> dict[Pair, tuple[LinkKind, str]]:
    """Return how each directed pair differs from a link without settings."""
    known = {node.name for node in nodes}
    described: dict[LinkQualities, tuple[LinkKind, str]] = {}
    found = {}
    for pair, asked in qualities.items():
        if asked not in described:
            described[asked] = (LinkKind.CUT, "cut") if asked.cut else (LinkKind.IMPAIRED, describe(asked))
        if pair[0] in known and pair[1] in known:
            found[pair] = described[asked]
    return found


def _base_links(
    drawn: Sequence[GraphNode], texts: Mapping[Pair, tuple[LinkKind, str]], stands_for: Mapping[str, str]
) -> list[GraphLink]:
    """Return the links that the programs use, without those that differ both ways.

    Those are drawn by their difference.
    """
    covered = {(stands_for[source], stands_for[target]) for source, target in texts}
    announces: Counter[Pair] = Counter()
    files: dict[str, Counter[Pair]] = {}
    for one, other in itertools.combinations_with_replacement(drawn, 2):
        if one is other and one.members == 1:
            continue
        pair, back = (one.name, other.name), (other.name, one.name)
        if pair in covered and back in covered:
            continue
        roles = {one.role, other.role}
        if Role.TRACKER in roles and roles & {Role.SHARE, Role.GET}:
            announces[pair if other.role == Role.TRACKER else back] += 1
        elif one.file and one.file == other.file and Role.GET in roles:
            # Who shares has the whole file from the beginning, and only sends.
            senders = [way for way, sender in ((pair, one), (back, other)) if sender.role == Role.SHARE]
            files.setdefault(one.file, Counter()).update(senders or [pair, back])
    links = _bundles(drawn, LinkKind.ANNOUNCE, "", announces)
    for file, counted in files.items():
        links += _bundles(drawn, LinkKind.FILE, file, counted)
    return links


def _links_of(
    drawn: Sequence[GraphNode], kind: LinkKind, text: str, counted: Counter[Pair], sizes: Mapping[str, int]
) -> list[GraphLink]:
    """Return the links of one difference.

    Where it concerns a part of a large group's pairs, the text counts them.
    """
    found: list[GraphLink] = []
    whole: Counter[Pair] = Counter()
    for pair, count in counted.items():
        source, target = pair
        total = sizes[source] * (sizes[target] - (source == target))
        if count >= total:
            whole[pair] = 1
        else:
            part = f"{text} ({count} of {total} pairs)"
            found.append(GraphLink(End(source), End(target), kind, part, False, (pair,)))
    return [*_bundles(drawn, kind, text, whole), *found]


def _bundles(drawn: Sequence[GraphNode], kind: LinkKind, text: str, pairs: Counter[Pair]) -> list[GraphLink]:
    """Join pairs to links between groups where all pairs of two groups are alike."""
    group_of = {node.name: node.group for node in drawn}
    members: dict[str, list[str]] = {}
    for node in drawn:
        members.setdefault(node.group, []).append(node.name)
    place = {node.name: index for index, node in enumerate(drawn)}
    buckets: dict[tuple[str, str, bool], list[Pair]] = {}
    for source, target in sorted(pairs, key=lambda pair: (place[pair[0]], place[pair[1]])):
        both = (target, source) in pairs
        if both and place[source] > place[target]:
            continue
        buckets.setdefault((group_of[source], group_of[target], both), []).append((source, target))
    links = []
    for (source, target, both), found in buckets.items():
        ends = (_end(source, members), _end(target, members))
        here, there = len(members[source]), len(members[target])
        total = here * there if source != target else here * (here - 1) // (2 if both else 1) or 1
        if len(found) == total:
            links.append(GraphLink(*ends, kind, text, both, tuple(found)))
        elif len(found) > MAX_SINGLE_PAIRS:
            part = f"{text} ({len(found)} of {total} pairs)".strip()
            links.append(GraphLink(*ends, kind, part, both, tuple(found)))
        else:
            links += [GraphLink(End(one), End(other), kind, text, both, ((one, other),)) for one, other in found]
    return links


def _end(group: str, members: Mapping[str, Sequence[str]]) -> End:
    names = members[group]
    return End(names[0]) if len(names) == 1 else End(group, is_group=True)
