"""Live commands for a lab's nodes: the scenario's verbs, queries, and waits.

Tested by tests/unit/lab/test_api.py and tests/integration/test_verbs.py.
"""

from __future__ import annotations

import contextlib
import shlex
import threading
from typing import TYPE_CHECKING, Final, Self, TypeVar

from torrentnet.lab.engines.command_lines import file_path
from torrentnet.lab.engines.steady import STEADY
from torrentnet.lab.engines.types import NodeState, NothingChangedError
from torrentnet.lab.errors import LabError, UsageError
from torrentnet.lab.run.facts.observed_files import observed_files
from torrentnet.lab.run.timeline.event_executor import for_each_node
from torrentnet.lab.scenario.plan.plan import NodeProgram
from torrentnet.lab.scenario.printed_events import find_event_mistake
from torrentnet.runtime.process import EXIT_FAILED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.engines.types import ExecResult
    from torrentnet.lab.run.lab_state import LabState
    from torrentnet.lab.run.recorder import Recorder
    from torrentnet.lab.scenario.plan.plan import NodePlan
    from torrentnet.runtime.events import Event

DEFAULT_WAIT: Final = 30.0
HASH_TIMEOUT: Final = 60.0
MAX_QUOTED_LINES: Final = 8


class WaitTimeoutError(LabError, TimeoutError):
    """The error that a condition did not become true in time.

    The message ends with the last lines of the nodes concerned.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=EXIT_FAILED)


class UndoHandle:
    """A change that can be undone.

    It is undone at the end of a ``with`` block or by ``lab.heal()``, else with the lab.
    """

    def __init__(self, undo: Callable[[], None]) -> None:
        self._undo = undo
        self._lock = threading.Lock()
        self._done = False

    def end(self) -> None:
        """Undo now, unless that is done already."""
        with self._lock:
            if not self._done:
                self._done = True
                self._undo()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


HandleT = TypeVar("HandleT", bound=UndoHandle)


class NodeVerbs:
    """Verbs for nodes, which are given by name or by group.

    Several nodes are changed in parallel.
    """

    engine: Engine
    nodes: LabState
    hashes: dict[str, str]
    sizes: dict[str, int]
    _nodes: dict[str, NodePlan]
    _recorder: Recorder
    _undo_handles: list[UndoHandle]

    # -- verbs -------------------------------------------------------------------------------------

    def start(self, *who: str) -> None:
        """Start nodes that do not run."""
        self._apply("start", self.engine.start, who)

    def kill(self, *who: str) -> None:
        """End nodes with SIGKILL."""
        self._apply("kill", self.engine.kill, who)

    def stop(self, *who: str) -> None:
        """End nodes with SIGTERM; peers leave the swarm."""
        self._apply("stop", self.engine.stop, who)

    def restart(self, *who: str) -> None:
        """Start nodes again, after stopping those that run."""
        self._apply("restart", self.engine.restart, who)

    def pause(self, *who: str) -> UndoHandle:
        """Freeze nodes until they are resumed.

        ``with lab.pause("seeder-1"):`` resumes them at the end of the block.
        """
        self._apply("pause", self.engine.pause, who)
        return self._with_undo(UndoHandle(lambda: self._apply("resume", self._resume_if_paused, who)))

    def resume(self, *who: str) -> None:
        """Resume frozen nodes."""
        self._apply("resume", self.engine.resume, who)

    def _resume_if_paused(self, node: str) -> None:
        # The node may have been killed or resumed inside the block.
        with contextlib.suppress(NothingChangedError):
            self.engine.resume(node)

    def _with_undo(self, handle: HandleT) -> HandleT:
        self._undo_handles.append(handle)
        return handle

    def _apply(self, verb: str, act: Callable[[str], None], who: Iterable[str]) -> None:
        nodes = self.select(*who)
        with self._recorded(verb, f"{verb} {', '.join(nodes)}", nodes):
            for_each_node(act, nodes)

    @contextlib.contextmanager
    def _recorded(self, kind: str, text: str, nodes: Iterable[str], **fields: object) -> Iterator[dict[str, object]]:
        """Record that something begins, and that it was applied or has failed.

        The caller may add fields of the event ``applied`` to the dictionary.
        """
        record, began = self._recorder, STEADY.now()
        moment = record.seconds_after_zero(began)
        known: dict[str, object] = {"text": text, "kind": kind, "nodes": list(nodes), "began": moment}
        record.write_lab_event("begun", began, **known)
        known |= fields
        try:
            yield known
        except LabError as error:
            known["error"] = error.message
            raise
        finally:
            record.write_lab_event("applied", **known, applied=record.seconds_after_zero(STEADY.now()))

    # -- queries -----------------------------------------------------------------------------------

    def select(self, *who: str) -> tuple[str, ...]:
        """Return the nodes with these names, or in these groups.

        Raises UsageError for an unknown name.
        """
        found: list[str] = []
        for name in who:
            matching = [node.name for node in self._nodes.values() if name in {node.name, node.group}]
            if not matching:
                hint = f"the nodes are: {', '.join(self._nodes)}"
                raise UsageError(f"there is no node and no group `{name}`", hint=hint)
            found += matching
        return tuple(dict.fromkeys(found))

    def console(self, node: str, words: str, *, timeout: float = 10.0) -> ExecResult:
        """Run a command on a node's command line."""
        return self.exec(node, "console", *shlex.split(words), timeout=timeout)

    def exec(self, node: str, *argv: str, timeout: float = 10.0) -> ExecResult:
        """Run a command in a node."""
        (name,) = self.select(node)
        return self.engine.exec(name, argv, timeout=timeout)

    def state(self, node: str) -> NodeState:
        """Return the state of a node's process."""
        (name,) = self.select(node)
        return self.engine.state(name)

    def sha256(self, node: str) -> str:
        """Return the SHA-256 of a peer's file, in hexadecimal, computed in the node.

        Of a program that the scenario brings along it is that of a file that has the size of the wanted one, and its
        content if there are several.
        """
        (name,) = self.select(node)
        plan = self._nodes[name]
        if plan.program is NodeProgram.FOREIGN and plan.file is not None:
            return self._observed_sha256(name, plan.file)
        path = file_path(plan, self.engine.locations[name])
        answer = self.exec(node, "sha256sum", "--", path, timeout=HASH_TIMEOUT)
        if answer.status != 0:
            raise LabError(f"{node}: {answer.output}", exit_code=EXIT_FAILED)
        # GNU sha256sum puts a backslash first where it had to escape the file's name.
        return answer.stdout.lstrip("\\").split(maxsplit=1)[0]

    def _observed_sha256(self, node: str, file: str) -> str:
        found = observed_files(self.engine, node, self.sizes[file])
        if found.problem or not found.hashes:
            raise LabError(f"{node}: {found.problem or 'no file has the size of ' + file}", exit_code=EXIT_FAILED)
        hashes = list(found.hashes.values())
        return self.hashes[file] if self.hashes[file] in hashes else hashes[0]

    def now(self) -> float:
        """Return the time on the clock of the events.

        The clock shows seconds since the epoch, and goes on steadily when the machine's time of day is set.
        """
        return STEADY.now()

    # -- waiting -----------------------------------------------------------------------------------

    def wait_until(
        self, condition: Callable[[], bool], *, what: str, timeout: float = DEFAULT_WAIT, nodes: Iterable[str] = ()
    ) -> None:
        """Wait until a condition holds, checked whenever a node prints or changes.

        Raises WaitTimeoutError, with the last lines of ``nodes``, when time is up.
        """
        if not self.nodes.wait_until(condition, timeout):
            raise WaitTimeoutError(f"timed out after {timeout:g} s: waited until {what}{self._quote_lines(nodes)}")

    def wait_event(
        self, node: str, *names: str, timeout: float = DEFAULT_WAIT, since: float = 0.0, **fields: str
    ) -> Event:
        """Wait for the first event of these names with these fields.

        The event is at or after ``since``: :meth:`now`, or an earlier event's time. Raises WaitTimeoutError when time
        is up, and UsageError for an event or a field that the node's program never prints.
        """
        (plan,) = (self._nodes[name] for name in self.select(node))
        for name in names:
            if mistake := find_event_mistake(name, fields, [plan]):
                raise UsageError(mistake.text, hint=mistake.hint)
        found: list[Event] = []

        def has_event() -> bool:
            event = self.nodes.first(node, *names, since=since, **fields)
            if event is not None:
                found.append(event)
            return bool(found)

        wanted = " ".join([" or ".join(names), *(f"{key}={value}" for key, value in fields.items())])
        self.wait_until(has_event, what=f"{node} prints {wanted}", timeout=timeout, nodes=[node])
        return found[0]

    def _quote_lines(self, nodes: Iterable[str]) -> str:
        text = ""
        for node in nodes:
            lines = self.nodes.last_lines(node)[-MAX_QUOTED_LINES:] or ["(nothing)"]
            text += f"\nthe last lines of {node}:" + "".join(f"\n    {line}" for line in lines)
        return text
