"""What the events of a timeline do to the nodes and to the network between them, and how it is undone."""

from __future__ import annotations

import shlex
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from torrentnet.lab.applied import Output
from torrentnet.lab.engines.values import NodeStatus, NothingChanged
from torrentnet.lab.errors import EngineError, LabError
from torrentnet.lab.faults import NoLinkChanged
from torrentnet.lab.plan import Verb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torrentnet.lab.engines.base import Engine
    from torrentnet.lab.faults import Faults
    from torrentnet.lab.measured import Measured
    from torrentnet.lab.plan import EventPlan

T = TypeVar("T")

PARALLEL = 4
"""Nodes that are started, or hit by one event, at the same time: more only makes each slower."""
OUTPUT_KEPT = 4096
"""Characters of what a command prints, from its end."""
OUTPUT_SHOWN = 160
VAIN = "a fault that hits nothing proves nothing; move the event or name another"


@dataclass(frozen=True, slots=True)
class Done:
    """What came of one event."""

    error: str = ""
    hint: str = ""
    set_in: tuple[str, ...] = ()
    outputs: tuple[Output, ...] = ()
    patch: int | None = None
    """The number of the patch that it has laid."""
    ended: tuple[Ended, ...] = ()
    """What a ``heal`` has ended."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A lasting event that has been undone."""

    index: int
    resumed: tuple[str, ...] = ()
    measured: Measured | None = None


@dataclass(slots=True)
class _Lasting:
    """What an event in force has done that can be undone."""

    paused: set[str] = field(default_factory=set)
    patch: int | None = None


class Acts:
    """Applies single events, from any thread. Raises EngineError where the engine fails."""

    def __init__(self, engine: Engine, faults: Faults | None) -> None:
        self._engine = engine
        self._faults = faults
        self._lock = threading.Lock()
        self._lasting: dict[int, _Lasting] = {}

    # ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, nodes: Sequence[str]) -> Done:
        """Start nodes that the plan starts late."""
        done, _ = self._verb(Verb.START, nodes)
        return done

    def do(self, event: EventPlan, time_left: float) -> Done:
        """Apply an event; a command in a node is given ``time_left`` seconds."""
        if event.patch is not None:
            return self._lay(event)
        match event.verb:
            case Verb.HEAL:
                return self._heal(event)
            case Verb.RUN:
                return self._commands(event, ["sh", "-c", event.command or ""], time_left)
            case Verb.CONSOLE:
                return self._commands(event, ["console", *shlex.split(event.command or "")], time_left)
        done, hit = self._verb(event.verb, event.nodes)
        with self._lock:
            if event.verb is Verb.PAUSE:
                if hit:
                    self._lasting[event.index] = _Lasting(set(hit))
            else:
                # Whatever had paused it, it is not paused any more.
                for lasting in self._lasting.values():
                    lasting.paused.difference_update(hit)
        return done

    def _verb(self, verb: Verb, nodes: Sequence[str]) -> tuple[Done, list[str]]:
        """What came of it, and the nodes that were hit."""
        act: Callable[[str], None] = getattr(self._engine, str(verb))

        def attempt(node: str) -> LabError | None:
            try:
                act(node)
            except NothingChanged as error:
                return error
            return None

        answers = _each(attempt, nodes)
        failed = [answer for answer in answers if answer is not None]
        hit = [node for node, answer in zip(nodes, answers, strict=True) if answer is None]
        return Done("; ".join(error.message for error in failed), failed[0].hint if failed else ""), hit

    # ── the network ──────────────────────────────────────────────────────────────────────────────────────────

    def _lay(self, event: EventPlan) -> Done:
        if self._faults is None or event.patch is None:
            raise EngineError(f"{event.text}: this lab has no network that could be changed")
        try:
            laid = self._faults.lay(event.patch)
        except NoLinkChanged as error:
            return Done(error.message, error.hint)
        with self._lock:
            self._lasting[event.index] = _Lasting(patch=laid.number)
        trouble = f"{event.text} is not in force everywhere: {'; '.join(laid.problems)}" if laid.problems else ""
        return Done(trouble, set_in=laid.nodes, patch=laid.number)

    def count_from_here(self, done: Done) -> None:
        """Note what had been counted before an event that has just been applied."""
        if self._faults is not None and done.patch is not None:
            self._faults.count_from_here(done.patch)

    # ── undoing ──────────────────────────────────────────────────────────────────────────────────────────────

    def _heal(self, event: EventPlan) -> Done:
        ended = self.undo(event.heals)
        if ended:
            return Done(ended=ended)
        return Done(f"{event.text} changed nothing: none of what it ends was in force", VAIN)

    def undo(self, indices: Iterable[int]) -> tuple[Ended, ...]:
        """Undo those of these events that are in force; answers with what there was to undo."""
        with self._lock:
            found = {index: lasting for index in indices if (lasting := self._lasting.pop(index, None)) is not None}
        patches = [lasting.patch for lasting in found.values() if lasting.patch is not None]
        measured = self._faults.lift(*patches) if self._faults is not None and patches else {}
        ended = []
        for index, lasting in found.items():
            resumed = tuple(node for node in sorted(lasting.paused) if self._resume(node))
            counted = measured.get(lasting.patch) if lasting.patch is not None else None
            if resumed or counted is not None:
                ended.append(Ended(index, resumed, counted))
        return tuple(ended)

    def undo_all(self) -> tuple[Ended, ...]:
        """Undo everything that is in force."""
        with self._lock:
            indices = list(self._lasting)
        return self.undo(indices)

    def _resume(self, node: str) -> bool:
        try:
            self._engine.resume(node)
        except NothingChanged:
            # It was killed, stopped or restarted meanwhile; there is nothing to undo.
            return False
        return True

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────

    def _commands(self, event: EventPlan, argv: Sequence[str], time_left: float) -> Done:
        def attempt(node: str) -> Output:
            try:
                answer = self._engine.exec(node, argv, timeout=time_left)
            except EngineError as error:
                # A node that is down and a command that does not end are answers; an engine that is gone is none.
                if self._engine.state(node).status is NodeStatus.GONE:
                    raise
                return Output(node, None, error.message)
            return Output(node, answer.status, _last(answer.output))

        outputs = tuple(_each(attempt, event.nodes))
        failed = [_failure(event, output) for output in outputs if output.status != 0]
        hint = "a command that must be able to fail ends with `|| true`" if failed and event.verb is Verb.RUN else ""
        return Done("; ".join(failed), hint, outputs=outputs)


def _each(act: Callable[[str], T], nodes: Sequence[str]) -> list[T]:
    """Do it to every node, a few at a time."""
    if len(nodes) == 1:
        return [act(nodes[0])]
    with ThreadPoolExecutor(PARALLEL, "node") as hands:
        return list(hands.map(act, nodes))


def _last(text: str) -> str:
    return text if len(text) <= OUTPUT_KEPT else f"... {text[-OUTPUT_KEPT:]}"


def _failure(event: EventPlan, output: Output) -> str:
    what = f"`{event.command}` in {output.node}"
    if output.status is None:
        return f"{what} could not be done: {output.text}"
    said = output.text.strip().splitlines()
    return f"{what} ended with status {output.status}" + (f": {said[-1][:OUTPUT_SHOWN]}" if said else "")
