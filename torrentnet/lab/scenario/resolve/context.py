"""What the parts of the resolution share: the draft, the nodes, the events that are known, and the problems so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torrentnet.lab.scenario.language.messages import did_you_mean
from torrentnet.lab.scenario.language.selectors import NodeDirectory, Selector, SelectorError, resolve_selector
from torrentnet.lab.scenario.language.units import show_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.lab.errors import Problem
    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.draft import Draft
    from torrentnet.lab.scenario.plan import NodePlan


@dataclass(slots=True)
class ResolveContext:
    """What the parts of the resolution share."""

    draft: Draft
    problems: list[Problem]
    limit: float
    """Seconds; endless where the time limit could not be read."""
    nodes: dict[str, NodePlan] = field(default_factory=dict)
    directory: NodeDirectory = field(default_factory=lambda: NodeDirectory({}))
    stopped: set[str] = field(default_factory=set)
    """Nodes that an event lets end with a good-bye."""

    def note(self, loc: KeyPath, text: str, hint: str = "", *, at_value: bool = True) -> None:
        """Record a problem at that place."""
        self.problems.append(self.draft.document.problem(loc, text, hint, at_value=at_value))

    def select(
        self, selector: Selector, loc: KeyPath, *, salt: str = "", able: Callable[[str], bool] | None = None
    ) -> tuple[str, ...]:
        """The nodes that are meant; none, with the problem recorded, where that cannot be said.

        ``salt`` makes another random choice in the same place; only ``able`` nodes are chosen at random.
        """
        place = self.draft.document.problem(loc, "").path + salt
        try:
            return resolve_selector(selector, self.directory, self.draft.scenario.seed, place, able)
        except SelectorError as error:
            self.note(loc if error.item is None else (*loc, error.item), error.text, error.hint)
            return ()

    def file_known(self, loc: KeyPath, name: str) -> None:
        """Record a problem if no file of that name is defined."""
        if ("files",) in self.draft.aside:
            return
        known = [*self.draft.scenario.files, *sorted(self.draft.unread("files"))]
        if name not in known:
            hint = did_you_mean(name, known, "there are") if known else f"add `files: {{{name}: {{size: 8MiB}}}}`"
            self.note(loc, f"there is no file `{name}` under `files`", hint)

    def past_limit(self, loc: KeyPath, time: float, what: str) -> None:
        """Record a problem if that time is past the time limit."""
        if time > self.limit:
            self.note(
                loc,
                f"{what} is past the time limit of {show_duration(self.limit)}",
                "raise `time_limit` or come earlier",
            )
