"""The checks of the scenario language: what each looks at in a node, and what it measures."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from torrentnet.lab.engines.base import LIVING, Engine, NodeStatus
from torrentnet.lab.plan import Check, ExpectationPlan, NodePlan
from torrentnet.lab.programs import file_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torrentnet.lab.board import Board
    from torrentnet.lab.clock import Clock

HASH_TIMEOUT_S = 60.0
SHOWN = 160
"""Characters of a console's answer in a report."""


class TimelineFacts(Protocol):
    """What expectations ask of the timeline."""

    def began(self, index: int) -> float | None:
        """When an event began to be applied."""

    def never(self, index: int) -> bool:
        """Whether it was tried in vain."""

    def revives(self, node: str) -> bool:
        """Whether the node will be started again."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What is being judged."""

    engine: Engine
    board: Board
    clock: Clock
    timeline: TimelineFacts
    nodes: Mapping[str, NodePlan]
    hashes: Mapping[str, str]
    """SHA-256 of each file's source."""
    events: Mapping[int, str]
    """The text of each event, by index."""
    time_limit: float


@dataclass(frozen=True, slots=True)
class Holds:
    """What one look has found."""

    yes: bool
    measured: str
    time: float | None = None
    """When it began to be so, in seconds after t = 0; None where only this moment was looked at."""
    asked: bool = True
    """Whether the engine or the node was asked, which costs something; what the board knows costs nothing."""


class Looker(ABC):
    """Looks at one node for one expectation."""

    def __init__(self, plan: ExpectationPlan, node: str, stage: Stage) -> None:
        self.plan = plan
        self.node = node
        self.stage = stage

    @abstractmethod
    def look(self, base: float) -> Holds:
        """Whether it holds now, or did at some time after ``base`` (seconds after t = 0)."""

    @abstractmethod
    def where_to_look(self) -> str:
        """The command with which a person sees it."""

    def since(self, base: float) -> float:
        """The epoch from which events count: all there were, unless the expectation says after what."""
        return self.stage.clock.epoch + base if self.plan.after is not None else 0.0

    def show(self, time: float, base: float) -> str:
        """A time as a person reads it: after what it counts."""
        after = self.stage.events.get(self.plan.after, "") if self.plan.after is not None else ""
        return f"{time - base:.1f} s after {after}" if after else f"at {max(0.0, time):.1f} s"


class HasFile(Looker):
    """The node has the file whole: it says so, and the bytes in the node have the source's SHA-256."""

    def look(self, base: float) -> Holds:
        """See :meth:`Looker.look`."""
        board, file = self.stage.board, self.plan.file or ""
        said = board.first(self.node, "completed", since=self.since(base), file=file)
        said = said or board.first(self.node, "state", since=self.since(base), file=file, state="seed")
        if said is None and self.plan.at is None:
            return Holds(yes=False, measured=self._progress(), asked=False)
        node = self.stage.nodes[self.node]
        path = file_path(node, self.stage.engine.places[self.node])
        answer = self.stage.engine.exec(self.node, ["sha256sum", "--", path], timeout=HASH_TIMEOUT_S)
        if answer.status != 0:
            return Holds(yes=False, measured=f"{self._progress()}; {answer.output[:SHOWN]}")
        # GNU sha256sum puts a backslash first where it had to escape the file's name.
        found = answer.stdout.lstrip("\\").split(maxsplit=1)[0]
        expected = self.stage.hashes[file]
        if found != expected:
            return Holds(yes=False, measured=f"SHA-256 is {found[:12]}..., the source's is {expected[:12]}...")
        time = self.stage.clock.of(said.time) if said else self.stage.clock.now()
        return Holds(yes=True, measured=f"whole {self.show(time, base)}, SHA-256 {found[:12]}...", time=time)

    def _progress(self) -> str:
        view = self.stage.board.view(self.node)
        if view.state.status is NodeStatus.CREATED:
            return "not started yet"
        if not view.pieces:
            return "has nothing yet"
        source = f", from {view.source}" if view.source else ""
        return f"{view.have} of {view.pieces} pieces ({100 * view.have // view.pieces} %){source}"

    def where_to_look(self) -> str:
        """See :meth:`Looker.where_to_look`."""
        return self.stage.engine.look(self.node, "request logs")


class Becomes(Looker):
    """The node says that it is in a state of the peer program."""

    def look(self, base: float) -> Holds:
        """See :meth:`Looker.look`."""
        board, wanted = self.stage.board, self.plan.state or ""
        view = board.view(self.node)
        if self.plan.at is not None:
            yes = view.doing == wanted and view.state.status in LIVING
            return Holds(yes=yes, measured=f"is {view.doing or view.state}")
        said = board.first(self.node, "state", since=self.since(base), state=wanted)
        if said is None:
            return Holds(yes=False, measured=f"is {view.doing or view.state}", asked=False)
        time = self.stage.clock.of(said.time)
        return Holds(yes=True, measured=f"{wanted} {self.show(time, base)}", time=time)

    def where_to_look(self) -> str:
        """See :meth:`Looker.where_to_look`."""
        return self.stage.engine.look(self.node, "status")


class Forgets(Looker):
    """The tracker says of each node named that it left or was forgotten."""

    def look(self, base: float) -> Holds:
        """See :meth:`Looker.look`."""
        times: dict[str, float] = {}
        for peer in self.plan.forgotten:
            said = self.stage.board.first(self.node, "forgotten", "left", since=self.since(base), peer=peer)
            if said is None:
                return Holds(yes=False, measured=f"{peer} is still known", asked=False)
            times[peer] = self.stage.clock.of(said.time)
        last = max(times.values())
        return Holds(yes=True, measured=f"{', '.join(times)} forgotten {self.show(last, base)}", time=last)

    def where_to_look(self) -> str:
        """See :meth:`Looker.where_to_look`."""
        return self.stage.engine.look(self.node, "peers")


class Console(Looker):
    """The answer to a command at the node's command line holds some texts and lacks others."""

    def look(self, base: float) -> Holds:
        """See :meth:`Looker.look`."""
        answer = self.stage.engine.exec(self.node, ["console", *shlex.split(self.plan.command or "")])
        text = answer.output
        missing = [wanted for wanted in self.plan.contains if wanted not in text]
        surplus = [unwanted for unwanted in self.plan.lacks if unwanted in text]
        if missing or surplus:
            wrong = [f"no `{one}`" for one in missing] + [f"there is `{one}`" for one in surplus]
            return Holds(yes=False, measured=f"{', '.join(wrong)} in: {_short(text)}")
        return Holds(yes=True, measured=f"so {self.show(self.stage.clock.now(), base)}")

    def where_to_look(self) -> str:
        """See :meth:`Looker.where_to_look`."""
        return self.stage.engine.look(self.node, self.plan.command or "")


class State(Looker):
    """The engine says how the node lives."""

    def look(self, base: float) -> Holds:
        """See :meth:`Looker.look`."""
        state = self.stage.engine.state(self.node)
        return Holds(yes=str(state.status) == self.plan.state, measured=f"{state} at {self.stage.clock.now():.1f} s")

    def where_to_look(self) -> str:
        """See :meth:`Looker.where_to_look`."""
        return "torrentnet status"


CHECKS: Mapping[Check, type[Looker]] = {
    Check.HAS: HasFile,
    Check.BECOMES: Becomes,
    Check.FORGETS: Forgets,
    Check.CONSOLE: Console,
    Check.STATE: State,
}


def _short(text: str) -> str:
    flat = " / ".join(text.split("\n"))
    return flat if len(flat) <= SHOWN else f"{flat[:SHOWN]} ..."
