"""What a test or a notebook does with a lab by hand: the scenario's verbs, and waiting for what follows."""

from __future__ import annotations

import shlex
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self, TypeVar

from torrentnet.lab.engines.command_lines import file_path
from torrentnet.lab.engines.types import NodeState, NothingChangedError
from torrentnet.lab.errors import EXIT_FAILED, LabError, UsageError
from torrentnet.lab.run.timeline.event_executor import MAX_PARALLEL_NODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.engines.types import ExecResult
    from torrentnet.lab.run.lab_state import LabState
    from torrentnet.lab.run.recorder import Recorder
    from torrentnet.lab.scenario.plan import NodePlan
    from torrentnet.runtime.events import Event

DEFAULT_WAIT = 30.0
HASH_TIMEOUT = 60.0
MAX_QUOTED_LINES = 8


class WaitTimeoutError(LabError, TimeoutError):
    """What was waited for did not come; the message has the last lines of the nodes concerned."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=EXIT_FAILED)


class UndoHandle:
    """Something that lasts until the ``with`` block ends, until ``lab.heal()``, or as long as the lab."""

    def __init__(self, undo: Callable[[], None]) -> None:
        self._undo = undo
        self._lock = threading.Lock()
        self._done = False

    def end(self) -> None:
        """Undo it, if it has not been undone yet."""
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


U = TypeVar("U", bound=UndoHandle)


class NodeVerbs:
    """The verbs of one lab's nodes. Nodes are meant by name or by group; several are hit side by side."""

    engine: Engine
    nodes: LabState
    _nodes: dict[str, NodePlan]
    _recorder: Recorder
    _undo_handles: list[UndoHandle]
    """What can be undone."""

    # ── verbs ────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, *who: str) -> None:
        """Start nodes that do not run."""
        self._do("start", self.engine.start, who)

    def kill(self, *who: str) -> None:
        """End nodes with SIGKILL."""
        self._do("kill", self.engine.kill, who)

    def stop(self, *who: str) -> None:
        """End nodes with SIGTERM: peers say good-bye."""
        self._do("stop", self.engine.stop, who)

    def restart(self, *who: str) -> None:
        """Start nodes again, after stopping those that run."""
        self._do("restart", self.engine.restart, who)

    def pause(self, *who: str) -> UndoHandle:
        """Freeze nodes. ``with lab.pause("seeder-1"):`` lets them go on at the block's end."""
        self._do("pause", self.engine.pause, who)
        return self._undone_later(UndoHandle(lambda: self._thaw(who)))

    def _undone_later(self, undo: U) -> U:
        self._undo_handles.append(undo)
        return undo

    def resume(self, *who: str) -> None:
        """Let frozen nodes go on."""
        self._do("resume", self.engine.resume, who)

    def _thaw(self, who: tuple[str, ...]) -> None:
        def thaw(node: str) -> None:
            # It may have been killed or resumed inside of the block.
            try:
                self.engine.resume(node)
            except NothingChangedError:
                return

        self._do("resume", thaw, who)

    def _do(self, verb: str, act: Callable[[str], None], who: Iterable[str]) -> None:
        nodes = self.select(*who)
        began = time.time()
        if len(nodes) == 1:
            act(nodes[0])
        else:
            with ThreadPoolExecutor(MAX_PARALLEL_NODES, "node") as hands:
                list(hands.map(act, nodes))
        self._recorder.write_lab_event(str(verb), nodes=list(nodes), began=began)

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────────

    def select(self, *who: str) -> tuple[str, ...]:
        """The nodes with these names, or in these groups. Raises UsageError for a name that there is not."""
        found: list[str] = []
        for name in who:
            meant = [node.name for node in self._nodes.values() if name in {node.name, node.group}]
            if not meant:
                raise UsageError(f"there is no node and no group `{name}`", hint=f"there are: {', '.join(self._nodes)}")
            found += meant
        return tuple(dict.fromkeys(found))

    def console(self, node: str, words: str, *, timeout: float = 10.0) -> ExecResult:
        """What a node's command line answers to ``words``."""
        return self.exec(node, "console", *shlex.split(words), timeout=timeout)

    def exec(self, node: str, *argv: str, timeout: float = 10.0) -> ExecResult:
        """Run a command in a node."""
        (name,) = self.select(node)
        return self.engine.exec(name, argv, timeout=timeout)

    def state(self, node: str) -> NodeState:
        """How a node lives."""
        (name,) = self.select(node)
        return self.engine.state(name)

    def sha256(self, node: str) -> str:
        """The SHA-256 of a peer's file, in hexadecimal, of the bytes that are in the node."""
        path = file_path(self._nodes[node], self.engine.places[node])
        answer = self.exec(node, "sha256sum", "--", path, timeout=HASH_TIMEOUT)
        if answer.status != 0:
            raise LabError(f"{node}: {answer.output}", exit_code=EXIT_FAILED)
        return answer.stdout.lstrip("\\").split(maxsplit=1)[0]

    # ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────

    def wait_until(
        self, condition: Callable[[], bool], *, what: str, timeout: float = DEFAULT_WAIT, nodes: Iterable[str] = ()
    ) -> None:
        """Wait until a condition holds; it is asked again whenever a node says or does something.

        Raises WaitedInVain, with the last lines of ``nodes``, when time is up.
        """
        if not self.nodes.wait_until(condition, timeout):
            raise WaitTimeoutError(f"waited {timeout:g} s in vain until {what}{self._last_lines(nodes)}")

    def wait_event(
        self, node: str, *names: str, timeout: float = DEFAULT_WAIT, since: float = 0.0, **fields: str
    ) -> Event:
        """Wait for the first event of these kinds with these fields, at or after ``since`` (seconds of the epoch)."""
        self.select(node)
        found: list[Event] = []

        def there() -> bool:
            event = self.nodes.first(node, *names, since=since, **fields)
            if event is not None:
                found.append(event)
            return bool(found)

        wanted = " ".join([" or ".join(names), *(f"{key}={value}" for key, value in fields.items())])
        self.wait_until(there, what=f"{node} says {wanted}", timeout=timeout, nodes=[node])
        return found[0]

    def _last_lines(self, nodes: Iterable[str]) -> str:
        text = ""
        for node in nodes:
            lines = self.nodes.last_lines(node)[-MAX_QUOTED_LINES:] or ["(nothing)"]
            text += f"\nthe last lines of {node}:" + "".join(f"\n    {line}" for line in lines)
        return text
