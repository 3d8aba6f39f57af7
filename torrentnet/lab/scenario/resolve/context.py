"""What the steps of the resolution share: the draft, nodes, events and problems so far.

Tested by tests/unit/lab/scenario/test_wrong.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torrentnet.lab.scenario.language.errors import InvalidValueError
from torrentnet.lab.scenario.language.units import format_duration
from torrentnet.lab.scenario.resolve.selection import NodeDirectory, resolve_selector
from torrentnet.runtime.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torrentnet.lab.errors import Problem
    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.draft import Draft
    from torrentnet.lab.scenario.language.models.timeline import AnyEventModel
    from torrentnet.lab.scenario.language.selectors import Selector
    from torrentnet.lab.scenario.plan import NodePlan
    from torrentnet.lab.scenario.resolve.event_refs import EventRef


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

    def note(self, loc: KeyPath, text: str, hint: str = "", *, at_value: bool = True) -> None:
        """Record a problem at that place."""
        self.problems.append(self.draft.document.problem(loc, text, hint, at_value=at_value))

    def timeline_items(self) -> Iterator[tuple[int, AnyEventModel]]:
        """Yield the readable items of the timeline with their positions in the file."""
        yield from zip(self.draft.timeline, self.draft.scenario.timeline, strict=True)

    def select(
        self, selector: Selector, loc: KeyPath, *, salt: str = "", able: Callable[[str], bool] | None = None
    ) -> tuple[str, ...]:
        """Return the selected nodes, or record a problem and return none.

        ``salt`` varies the random choice in one place; random choices are made among the ``able`` nodes.
        """
        place = self.draft.document.problem(loc, "").path + salt
        try:
            return resolve_selector(selector, self.directory, self.draft.scenario.seed, place, able)
        except InvalidValueError as error:
            self.note(loc if error.item is None else (*loc, error.item), error.text, error.hint)
            return ()

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
