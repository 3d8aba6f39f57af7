"""The state that all steps of the resolution share.

It has the nodes and events by their names, and the problems so far.

A random choice depends on the scenario's seed and the selector's place in the file only, so that a file selects the
same nodes on every machine and with every version of Python.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torrentnet.lab.scenario.language.scalars import InvalidValueError, format_duration
from torrentnet.lab.scenario.language.selectors import ALL, SelectorAmount
from torrentnet.lab.scenario.plan.plan import Role
from torrentnet.runtime.suggestions import closest, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torrentnet.lab.errors import Problem
    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.draft import Draft
    from torrentnet.lab.scenario.language.models.timeline import AnyEventModel
    from torrentnet.lab.scenario.language.selectors import Selector
    from torrentnet.lab.scenario.plan.plan import NodePlan
    from torrentnet.lab.scenario.plan.program import ProgramPlan
    from torrentnet.lab.scenario.qualities import LinkOverride


@dataclass(frozen=True, slots=True)
class EventRef:
    """An event or one of its repetitions, before references to events are resolved."""

    index: int
    """The index in the plan."""
    position: int
    """The index in the file's timeline."""
    model: AnyEventModel
    verb: str
    at: float | None
    """Seconds after t = 0; None where it waits for a condition."""
    lasts: float | None
    """Seconds; None for a momentary event, for the rest of the run, and from a condition to a fixed time."""
    nodes: tuple[str, ...]
    """The nodes that the event affects; empty for a heal, whose nodes are not known yet."""
    override: LinkOverride | None
    """What a network fault does to links."""
    text: str
    """For reports, with the nodes that were chosen at random."""
    names: tuple[str, ...]
    """The texts that refer to this event, from the shortest to the most exact."""
    repetition: int = 0
    source_of: str = ""
    """The node whose source the event affects; ``nodes`` are then all that can be."""

    @property
    def loc(self) -> KeyPath:
        """The event's place in the file."""
        return ("timeline", self.position)


def normalize_reference(text: str) -> str:
    """Normalize a reference to an event, for comparison.

    ``kill [a,  b]`` becomes ``kill a, b``, and ``impair {to: a}`` becomes ``impair to a``.
    """
    text = re.sub(r"[\[\]{}]", " ", text).replace("|", ",")
    text = re.sub(r":(?=\s)", " ", text)
    return re.sub(r"[\s,]*,[\s,]*", ", ", " ".join(text.split()))


@dataclass(frozen=True, slots=True)
class NodeDirectory:
    """The nodes and groups of a scenario, by name."""

    groups: Mapping[str, Sequence[str]]
    """Group name -> node names, both in the order of the file."""
    unreadable: frozenset[str] | None = frozenset()
    """Groups of the file that could not be parsed; names that may belong to them are not checked. None for all."""

    nodes: tuple[str, ...] = field(init=False)
    """Every node, in the order of the file."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", tuple(node for group in self.groups.values() for node in group))

    def named(self, name: str) -> tuple[str, ...]:
        """Return the nodes that a name selects; none for an unknown name.

        The name is that of a node or a group, or ``all``.
        """
        if name == ALL:
            return self.nodes
        if name in self.groups:
            return tuple(self.groups[name])
        return (name,) if name in self.nodes else ()

    def may_be_unreadable(self, name: str) -> bool:
        """Return whether the name may belong to a group that could not be parsed."""
        return self.unreadable is None or name in self.unreadable or re.sub(r"-[0-9]+$", "", name) in self.unreadable


def resolve_selector(
    selector: Selector,
    directory: NodeDirectory,
    seed: int,
    place: str,
    able: Callable[[str], bool] | None = None,
) -> tuple[str, ...]:
    """Return the selected nodes, each once, in the order of the scenario.

    ``place`` is the selector's place in the file, such as ``timeline[3].kill``: random choices in two places differ. A
    random choice is made among the nodes that are ``able``, by default among all. Raises InvalidValueError for a name
    that no node or group has, and for a count that is larger than the group.
    """
    chosen: set[str] = set()
    for index, term in enumerate(selector.terms):
        item = index if selector.listed else None
        candidates = directory.named(term.name)
        if not candidates:
            if directory.may_be_unreadable(term.name):
                continue
            raise InvalidValueError(
                f"no node or group has the name `{term.name}`", _known_names(term.name, directory), item
            )
        wanted = len(candidates)
        if term.kind is SelectorAmount.COUNT:
            wanted = term.amount
        elif term.kind is SelectorAmount.PERCENT:
            wanted = max(1, (len(candidates) * term.amount + 50) // 100)
        if wanted > len(candidates):
            raise InvalidValueError(
                f"`{term}`: there are only {len(candidates)}",
                f"write at most `{len(candidates)} of {term.name}`",
                item,
            )
        if able is not None and term.kind is not SelectorAmount.EVERY:
            candidates = tuple(node for node in candidates if able(node))
            if wanted > len(candidates):
                left = f"only {len(candidates)} of them" if candidates else "none of them"
                hint = "the other nodes are not running then, or are already in that state"
                raise InvalidValueError(f"`{term}`: {left} can be affected at that time", hint, item)
        chosen.update(_draw(candidates, wanted, f"{seed}/{place}/{index}"))
    return tuple(node for node in directory.nodes if node in chosen)


def _draw(candidates: Sequence[str], wanted: int, salt: str) -> Sequence[str]:
    if wanted == len(candidates):
        return candidates
    # Ranked by hash, not drawn by random.sample: the choice must not change when Python changes its algorithm.
    return sorted(candidates, key=lambda name: hashlib.sha256(f"{salt}/{name}".encode()).digest())[:wanted]


def _known_names(name: str, directory: NodeDirectory) -> str:
    if close := closest(name, [*directory.groups, *directory.nodes, ALL]):
        return f"did you mean `{close}`?"
    groups = [
        f"`{group}`" + (f" (`{nodes[0]}` to `{nodes[-1]}`)" if len(nodes) > 1 else "")
        for group, nodes in directory.groups.items()
    ]
    return "there are: " + ", ".join(groups) if groups else ""


@dataclass(slots=True)
class ResolveContext:
    """The state of one resolution."""

    draft: Draft
    problems: list[Problem]
    limit: float
    """Seconds; infinite where the time limit could not be read."""
    nodes: dict[str, NodePlan] = field(default_factory=dict)
    directory: NodeDirectory = field(default_factory=lambda: NodeDirectory({}))
    refs: list[EventRef] = field(default_factory=list)
    """The events, by their index in the plan."""
    leaving: set[str] = field(default_factory=set)
    """Nodes that an event ends in order, so that they leave the swarm."""
    _called: tuple[int, dict[str, list[EventRef]]] | None = None
    """The events by the texts that refer to them, and the number of events then."""
    unshared: set[str] = field(default_factory=set)
    """Files that no node shares, which have been reported."""
    programs: dict[str, ProgramPlan] = field(default_factory=dict)
    """The programs that the scenario or the command line brings along, by name."""
    unreadable_programs: set[str] = field(default_factory=set)
    """Names of programs whose mistakes have been reported."""
    replaced: dict[str, str] = field(default_factory=dict)
    """``tracker`` and ``peers`` -> the name of the program that the command line puts in the place of our own."""
    for_any_program: bool = False
    """Whether the scenario was written for any program."""

    def note(self, loc: KeyPath, text: str, hint: str = "") -> None:
        """Record a problem of a value."""
        self.problems.append(self.draft.document.problem(loc, text, hint, at_value=True))

    def note_key(self, loc: KeyPath, text: str, hint: str = "") -> None:
        """Record a problem of a key or an item."""
        self.problems.append(self.draft.document.problem(loc, text, hint))

    def timeline_items(self) -> Iterator[tuple[int, AnyEventModel]]:
        """Yield the readable items of the timeline with their positions in the file."""
        yield from zip(self.draft.positions["timeline"], self.draft.scenario.timeline, strict=True)

    def select(
        self, selector: Selector, loc: KeyPath, *, salt: str = "", able: Callable[[str], bool] | None = None
    ) -> tuple[str, ...]:
        """Return the selected nodes, or record a problem and return none.

        ``salt`` varies the random choice in one place; random choices are made among the ``able`` nodes.
        """
        place = self.draft.document.problem(loc, "").path + salt
        if selector.source_of:
            self.note(
                loc,
                f"`{selector}` is known only while the lab runs",
                "name nodes here; an event of the timeline can affect a source: `kill: source of leecher-1`",
            )
            return ()
        try:
            return resolve_selector(selector, self.directory, self.draft.scenario.seed, place, able)
        except InvalidValueError as error:
            self.note(loc if error.item is None else (*loc, error.item), error.text, error.hint)
            return ()

    def sources(self, selector: Selector, loc: KeyPath) -> tuple[str, tuple[str, ...]]:
        """Return the node that ``source of NODE`` names, and its possible sources.

        A name that is not that of one node that gets a file is recorded as a problem.
        """
        name = selector.source_of
        named = self.directory.named(name)
        if not named:
            if not self.directory.may_be_unreadable(name):
                text = f"no node or group has the name `{name}`"
                self.note(loc, text, did_you_mean(name, self.directory.nodes, "there are"))
        elif len(named) > 1:
            self.note(loc, f"`{name}` is {len(named)} nodes", f"name one of them: `source of {named[0]}`")
        elif self.nodes[named[0]].role is not Role.GET:
            self.note(loc, f"`{named[0]}` gets no file, and has no source", "name a node with `get`")
        else:
            peers = (node.name for node in self.nodes.values() if node.role in {Role.SHARE, Role.GET})
            return named[0], tuple(peer for peer in peers if peer != named[0])
        return "", ()

    def events_called(self, text: str) -> list[EventRef]:
        """Return the events to which ``text`` refers, in the order of the plan."""
        if self._called is None or self._called[0] != len(self.refs):
            called: dict[str, list[EventRef]] = {}
            for ref in self.refs:
                for name in dict.fromkeys(normalize_reference(name) for name in ref.names):
                    called.setdefault(name, []).append(ref)
            self._called = (len(self.refs), called)
        return self._called[1].get(normalize_reference(text), [])

    def check_file(self, loc: KeyPath, name: str) -> None:
        """Record a problem if no file of that name is defined."""
        if ("files",) in self.draft.aside:
            return
        known = [*self.draft.scenario.files, *sorted(self.draft.unread("files"))]
        if name not in known:
            hint = did_you_mean(name, known, "there are") if known else f"add `files: {{{name}: {{size: 8MiB}}}}`"
            self.note(loc, f"there is no file `{name}` under `files`", hint)

    def check_time_limit(self, loc: KeyPath, time: float, what: str) -> None:
        """Record a problem if that time is past the time limit."""
        if time > self.limit:
            self.note(
                loc,
                f"{what} is past the time limit of {format_duration(self.limit)}",
                "raise `time_limit`, or choose an earlier time",
            )
