"""Carries out what a page asks for, with the verbs that Python users have."""

from __future__ import annotations

import shlex
import threading
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.engines.types import NodeStatus, NothingChangedError
from torrentnet.lab.errors import LabError, UsageError
from torrentnet.lab.run.timeline.event_executor import for_each_node
from torrentnet.lab.scenario.language.scalars import parse_event_name
from torrentnet.lab.ui.clicking.clicks import Click, ClickList, yaml_line
from torrentnet.lab.ui.verb_request import VerbAnswer, VerbRequest, join_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torrentnet.lab.run.lab_state import LabClock
    from torrentnet.lab.run.network_verbs import NetworkFault, NetworkVerbs
    from torrentnet.lab.scenario.plan.plan import NodePlan

COMPOSE: Final[Mapping[str, Sequence[str]]] = {
    "kill": ("kill --signal SIGKILL",),
    "stop": ("stop",),
    "start": ("start",),
    "restart": ("stop", "start"),
    "pause": ("pause",),
    "resume": ("unpause",),
}
DONE: Final[Mapping[str, str]] = {
    "kill": "killed",
    "stop": "stopped",
    "start": "started",
    "restart": "started again",
    "pause": "paused",
    "resume": "resumed",
}


class VerbPerformer:
    """Carries out verbs in one lab, and remembers what was done. Thread-safe."""

    def __init__(
        self,
        lab: NetworkVerbs,
        nodes: Sequence[NodePlan],
        clicks: ClickList | None = None,
        *,
        compose: Callable[[], str] = lambda: "",
        on_touch: Callable[[str], None] = lambda _: None,
        taken: Sequence[str] = (),
    ) -> None:
        """Prepare for verbs.

        ``compose`` returns the command that reaches the nodes by Docker Compose, if there is one; ``on_touch`` is
        called for everything that was changed; ``taken`` are names of the scenario's own events.
        """
        self._lab = lab
        self._nodes = {node.name: node for node in nodes}
        self.clicks = clicks or ClickList()
        self._compose = compose
        self._on_touch = on_touch
        self._lock = threading.Lock()
        self._taken = {*taken, *(click.name for click in self.clicks.all() if click.name)}
        self._faults: dict[str, tuple[int, NetworkFault]] = {}
        """Name -> number of the click, and what is in force."""
        self._pauses = {
            click.target[0]: number
            for number, click in self.clicks.numbered().items()
            if click.verb == "pause" and click.ended is None
        }
        """Node -> number of the click that has paused it."""

    def adopt(self, faults: Sequence[NetworkFault]) -> None:
        """Note the faults that earlier pages have left in force, oldest first."""
        clicks = {
            number: click
            for number, click in self.clicks.numbered().items()
            if click.name and click.ended is None and click.verb != "pause"
        }
        for fault, (number, click) in zip(reversed(faults), reversed(clicks.items()), strict=False):
            self._faults[click.name] = (number, fault)

    def act(self, request: VerbRequest, clock: LabClock) -> VerbAnswer:
        """Carry a verb out. Raises LabError where nothing has changed."""
        match request.verb:
            case "heal":
                return self._heal(request, clock)
            case "isolate" | "partition" | "impair":
                return self._disturb(request, clock)
        return self._act_on_nodes(request, clock)

    # -- nodes ---------------------------------------------------------------------------------------

    def _act_on_nodes(self, request: VerbRequest, clock: LabClock) -> VerbAnswer:
        verb, nodes = request.verb, self._lab.select(*request.nodes)
        began = clock.now()
        act: Callable[[str], object] = getattr(self._lab, verb)

        def attempt(node: str) -> str:
            try:
                if verb == "start":
                    self._require_no_later_start(node, began)
                act(node)
            except LabError as error:
                return error.message
            return ""

        problems = for_each_node(attempt, nodes)
        hit = [node for node, problem in zip(nodes, problems, strict=True) if not problem]
        failed = [problem for problem in problems if problem]
        sentences = [f"{join_names(self._grouped(hit))} {DONE[verb]}"] if hit else []
        text = "; ".join([*sentences, *failed])
        if not hit:
            return VerbAnswer(ok=False, text=text)
        clicks = self._note_nodes(verb, hit, began, clock.now())
        self._on_touch(f"{verb} {join_names(self._grouped(hit))} at {began:.1f} s")
        names = " ".join(map(shlex.quote, hit))
        compose = self._compose()
        words = [f"{compose} {one} {names}" for one in COMPOSE[verb]] if compose else [f"lab.{verb}({_arguments(hit)})"]
        return VerbAnswer(not failed, text, " && ".join(words), _yaml(clicks))

    def _require_no_later_start(self, node: str, now: float) -> None:
        start = self._nodes[node].start
        if now < start and self._lab.engine.state(node).status is NodeStatus.CREATED:
            raise UsageError(f"{node} starts by itself, at {start:g} s")

    def _note_nodes(self, verb: str, nodes: Sequence[str], began: float, now: float) -> list[Click]:
        with self._lock:
            if verb == "pause":
                # One item for each, because each may be resumed at a time of its own.
                for node in nodes:
                    self._pauses[node] = self.clicks.add(Click(round(began, 3), verb, [node], lasting=True))
                return [self.clicks.numbered()[self._pauses[node]] for node in nodes]
            ended = [self._pauses.pop(node) for node in nodes if node in self._pauses]
            over = self.clicks.end(ended, round(began if verb == "resume" else now, 3))
        if verb == "resume":
            return over
        click = Click(round(began, 3), verb, self._grouped(nodes))
        self.clicks.add(click)
        return [click]

    # -- the network ---------------------------------------------------------------------------------

    def _disturb(self, request: VerbRequest, clock: LabClock) -> VerbAnswer:
        with self._lock:
            name = self._choose_name(request.name)
        try:
            began = clock.now()
            target, call, fault = self._lay(request, name)
        except BaseException:
            with self._lock:
                self._taken.discard(name)
            raise
        click = Click(round(began, 3), request.verb, target, name, lasting=True)
        with self._lock:
            self._faults[name] = (self.clicks.add(click), fault)
        self._on_touch(f"{fault.override.text} at {began:.1f} s")
        where = f"{len(fault.set_in)} node{'' if len(fault.set_in) == 1 else 's'}"
        text = f"{fault.override.text}: in force in {where} ({join_names(self._grouped(fault.set_in))})"
        if not fault.set_in:
            text = f"{fault.override.text}: in force when its nodes are up"
        return VerbAnswer(ok=True, text=text, command=call, yaml=_yaml([click]))

    def _lay(self, request: VerbRequest, name: str) -> tuple[Any, str, NetworkFault]:
        """Put a fault in force.

        Returns its value in a timeline, its call in Python, and the fault itself.
        """
        lab, short = self._lab, self._short
        match request.verb:
            case "isolate":
                nodes = short(request.nodes)
                return nodes, f"lab.isolate({_arguments(nodes)})", lab.isolate(*nodes, name=name)
            case "partition":
                sides = [short(side) for side in request.sides]
                if len(sides) > 2:
                    raise UsageError(
                        "a partition of three sides is three partitions of two", hint="draw them one by one"
                    )
                return sides, f"lab.partition({sides[0]!r}, {sides[1]!r})", lab.partition(sides[0], sides[1], name=name)
        way = self._direction(request)
        between, from_, to = way.get("between"), way.get("from"), way.get("to")
        fault = lab.impair(between=between, from_=from_, to=to, name=name, **request.qualities)
        shown = [
            f"{'from_' if key == 'from' else key}={value!r}" for key, value in {**way, **request.qualities}.items()
        ]
        return {**way, **request.qualities}, f"lab.impair({', '.join(shown)})", fault

    def _direction(self, request: VerbRequest) -> dict[str, Any]:
        """Return the links of a request as a scenario writes them."""
        if request.sides:
            return {"between": [self._short(side) for side in request.sides]}
        if request.nodes:
            chosen = self._lab.select(*request.nodes)
            others = [node for node in self._nodes if node not in chosen]
            return {"between": [self._short(chosen), self._short(others)] if others else "all"}
        way = {"from": request.from_, "to": request.to}
        return {key: self._short(names) for key, names in way.items() if names}

    def _heal(self, request: VerbRequest, clock: LabClock) -> VerbAnswer:
        with self._lock:
            if request.name and request.name not in self._faults:
                known = join_names(sorted(self._faults)) or "nothing"
                raise UsageError(
                    f"nothing that was done here is called `{request.name}`",
                    hint=f"in force is: {known}; what the scenario itself does ends by its own timeline",
                )
            chosen = set(self._lab.select(*request.nodes))
            names = [name for name, (_, fault) in self._faults.items() if _is_meant(name, fault, request.name, chosen)]
            ending = {name: self._faults.pop(name) for name in names}
            paused = [] if request.name else [node for node in self._pauses if not chosen or node in chosen]
        if not ending and not paused:
            raise NothingChangedError("heal changed nothing: nothing that was done here is in force")
        began, sentences, problems = clock.now(), [], []
        for _, fault in ending.values():
            try:
                fault.end()
            except LabError as error:
                problems.append(error.message)
            counted = fault.measured.text() if fault.measured is not None else ""
            sentences.append(f"end of {fault.override.text}{counted and f': {counted}'}")
        clicks = self.clicks.end([number for number, _ in ending.values()], round(began, 3))
        self._on_touch(f"heal at {began:.1f} s")
        if paused:
            answer = self._act_on_nodes(VerbRequest("resume", tuple(paused)), clock)
            sentences.append(answer.text)
            clicks += [click for click in self.clicks.all() if click.verb == "pause" and click.target[0] in paused]
        return VerbAnswer(not problems, "; ".join([*sentences, *problems]), "lab.heal()", _yaml(clicks))

    # -- names ---------------------------------------------------------------------------------------

    def _choose_name(self, wanted: str) -> str:
        if wanted:
            try:
                parse_event_name(wanted)
            except ValueError as error:
                raise UsageError(f"name: {error}") from None
            if wanted in self._taken:
                raise UsageError(f"something has the name `{wanted}` already", hint="choose another name")
        number = 1
        while not wanted or wanted in self._taken:
            wanted, number = f"clicked-{number}", number + 1
        self._taken.add(wanted)
        return wanted

    def _short(self, names: Sequence[str]) -> list[str]:
        return self._grouped(self._lab.select(*names))

    def _grouped(self, nodes: Sequence[str]) -> list[str]:
        """Return names of nodes, and of a group in the place of all of its nodes."""
        chosen = set(nodes)
        found: dict[str, None] = {}
        for node in self._nodes.values():
            if node.name in chosen:
                whole = all(one.name in chosen for one in self._nodes.values() if one.group == node.group)
                found[node.group if whole else node.name] = None
        return list(found)


def _arguments(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _yaml(clicks: Sequence[Click]) -> str:
    return "\n".join(f"- {yaml_line(click.item())}" for click in clicks)


def _is_meant(name: str, fault: NetworkFault, wanted: str, nodes: set[str]) -> bool:
    """Return whether ``heal`` ends a fault.

    It ends the fault of a name, those of some nodes, or all.
    """
    if wanted:
        return name == wanted
    return not nodes or any(node in nodes for pair in fault.override.pairs for node in pair)
