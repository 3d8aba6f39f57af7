"""Description of a scenario before it runs.

The description lists the nodes, and the events with their commands, in order. The lab uses the engine's API; the
commands have the same effect on a lab that ``up`` has left running. The network's rules are exact except for the
addresses, which are known only when the lab exists.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.command_lines import listen_ports, uses_machine_addresses
from torrentnet.lab.scenario.language.scalars import format_duration, format_size
from torrentnet.lab.scenario.plan.events import (
    CommandPlan,
    HealPlan,
    ImpairPlan,
    LastingPlan,
    NetworkFaultPlan,
    PausePlan,
    RunPlan,
)
from torrentnet.lab.scenario.plan.expectations import Severity
from torrentnet.lab.scenario.plan.plan import NodePlan, NodeProgram, Plan, Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torrentnet.lab.scenario.plan.events import EventPlan
    from torrentnet.lab.scenario.qualities import LinkOverride
    from torrentnet.lab.tools.network_commands import NetworkCommands

MAX_NAMED: Final = 4
"""Maximum number of nodes that are listed by name."""
_INDENT: Final = "      "
_PARTICIPLES: Final = {
    "kill": "killed (SIGKILL); a peer does not leave the swarm",
    "stop": "stopped (SIGTERM); a peer leaves the swarm",
    "start": "started again",
    "restart": "stopped, if running, and started again",
}
_COMPOSE: Final = {
    "kill": ("kill --signal SIGKILL",),
    "stop": ("stop",),
    "start": ("start",),
    "restart": ("stop", "start"),
    "pause": ("pause",),
}


@dataclass(frozen=True, slots=True)
class _Step:
    """A line of the schedule with its commands."""

    at: float
    text: str
    commands: tuple[str, ...]
    order: tuple[int, int]


def explain(plan: Plan, commands: NetworkCommands | None = None) -> Iterator[str]:
    """Yield a description of a scenario, line by line.

    ``commands`` returns the network's commands (see :func:`network_commands`); without it only the engine's are shown.
    """
    yield plan.name
    if plan.about:
        yield plan.about
    yield f"It ends after {format_duration(plan.time_limit)} at the latest. The random seed is {plan.seed}."
    for name, value in plan.parameters:
        yield f"The parameter {name} is {value}."
    yield from _section("Files", _files(plan))
    yield from _section("Programs", _programs(plan))
    yield from _section("Nodes", _nodes(plan))
    yield from _section("The network at t = 0", _links(plan, commands))
    yield from _section("What happens", _steps(plan, commands))
    yield from _section("What happens on a condition", _waiting(plan, commands))
    yield from _section("What must be true", _expectations(plan))
    left_out = (f"   -  {text}" for text in plan.left_out)
    yield from _section("What is not judged, because only our own programs say that", left_out)


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield ""
        yield title
        yield from found


# -- files and nodes -------------------------------------------------------------------------------


def _files(plan: Plan) -> Iterator[str]:
    for file in plan.files:
        content = file.content
        made = (
            f"{format_size(content)}, generated from the seed" if isinstance(content, int) else f"from {content.name}"
        )
        folder, _, name = file.name.rpartition("/")
        yield f"  {folder}, shared as {name}: {made}" if folder else f"  {name}: {made}"


def _programs(plan: Plan) -> Iterator[str]:
    for program in plan.programs:
        files = f"{program.size} bytes of files" if program.folder is not None else "no files"
        image = program.image or ("built by its Dockerfile" if program.dockerfile else "the lab's own image")
        yield f"  {program.name}: {files}, {image}"
        yield from (f"      {role:<7} {command}" for role, command in program.commands)


def _groups(plan: Plan) -> Iterator[list[NodePlan]]:
    groups: dict[str, list[NodePlan]] = {}
    for node in plan.nodes:
        groups.setdefault(node.group, []).append(node)
    yield from groups.values()


def _nodes(plan: Plan) -> Iterator[str]:
    for group in _groups(plan):
        first, last = group[0], group[-1]
        other = first.foreign.name if first.foreign is not None else first.program
        whose = "" if first.program is NodeProgram.OURS else f" ({other})"
        does = f"{first.role}{_verb_ending(group)} {first.file or other}"
        does = "is the tracker" if first.role is Role.TRACKER else does
        if first.role is not Role.GET and first.start == 0:
            when = "up before t = 0"
        elif last.start > first.start:
            when = f"started one by one from {format_duration(first.start)} to {format_duration(last.start)}"
        else:
            when = f"started at {format_duration(first.start)}"
        disk = f", on a disk of {format_size(first.limits.disk)}" if "disk" in first.limits.explicit else ""
        options = shlex.join(_common_options(group))
        who = name_nodes([node.name for node in group]) + whose
        yield f"  {who} {does}, {when}{disk}" + (f"   {options}" if options else "")


def _verb_ending(group: Sequence[object]) -> str:
    return "s" if len(group) == 1 else ""


def _common_options(group: Sequence[NodePlan]) -> list[str]:
    """Return the options of a group's command lines, without the seed, which differs."""
    words = list(group[0].arguments)
    if "--seed" in words:
        at = words.index("--seed")
        del words[at : at + 2]
    return words


def name_nodes(names: Sequence[str]) -> str:
    """List a few nodes by name; describe more by the first and the last."""
    return ", ".join(names) if len(names) <= MAX_NAMED else f"{names[0]} to {names[-1]} ({len(names)} nodes)"


# -- the network -----------------------------------------------------------------------------------


def _change(
    commands: NetworkCommands | None, before: Sequence[LinkOverride] | None, after: Sequence[LinkOverride]
) -> tuple[str, ...]:
    return tuple(commands(before, after)) if commands is not None else ()


def _links(plan: Plan, commands: NetworkCommands | None) -> Iterator[str]:
    translated = any(map(uses_machine_addresses, plan.nodes))
    if translated:
        ports = (f"{port} is {name}" for name, port in listen_ports(plan.nodes).items())
        yield f"  On 127.0.0.1, port {', '.join(ports)}"
    for override in plan.links:
        yield f"  {override.text}"
    if plan.links or translated:
        yield from _indented(_change(commands, None, plan.links))


def _indented(commands: Iterable[str]) -> Iterator[str]:
    return (f"{_INDENT}{line}".rstrip() for line in commands)


# -- what happens ----------------------------------------------------------------------------------


def _steps(plan: Plan, commands: NetworkCommands | None) -> Iterator[str]:
    steps = [*_starts(plan), *_timed(plan, commands)]
    for step in sorted(steps, key=lambda step: (step.at, step.order)):
        yield f"  {format_duration(step.at):>7}  {step.text}"
        yield from _indented(step.commands)
    end = format_duration(plan.time_limit)
    yield f"  At the end, at {end} or earlier, everything is undone and the lab is removed."


def _starts(plan: Plan) -> Iterator[_Step]:
    for group in _groups(plan):
        late = [node for node in group if node.role is Role.GET or node.start > 0]
        moments: dict[float, list[str]] = {}
        for node in late:
            moments.setdefault(node.start, []).append(node.name)
        if len(moments) > MAX_NAMED:
            names = [node.name for node in late]
            text = f"{name_nodes(names)} start one by one, the last at {format_duration(late[-1].start)}."
            yield _Step(late[0].start, text, (f"docker compose start {names[0]}", "# ... and so on"), (-1, 0))
            continue
        for at, names in moments.items():
            text = f"{name_nodes(names)} start{_verb_ending(names)}."
            yield _Step(at, text, (f"docker compose start {' '.join(names)}",), (-1, 0))


def _ends(plan: Plan) -> dict[int, float]:
    """Return when each lasting event ends, as far as that is known.

    An event ends by itself, or by a ``heal`` with a planned time.
    """
    ends: dict[int, float] = {}
    timed = [event for event in plan.events if event.when is None]
    for event in timed:
        if isinstance(event, LastingPlan) and (end := event.end(event.at)) is not None:
            ends[event.index] = min(end, plan.time_limit)
    for heal in timed:
        for index in heal.ends if isinstance(heal, HealPlan) else ():
            if plan.events[index].when is None:
                ends[index] = min(heal.at, ends.get(index, heal.at))
    return ends


def _timed(plan: Plan, commands: NetworkCommands | None) -> Iterator[_Step]:
    """Yield the events with a planned time, and the ends of these events.

    The network's commands are in the order of time.
    """
    ends = _ends(plan)
    heals = [event for event in plan.events if isinstance(event, HealPlan) and event.when is None]
    healed = {index for heal in heals for index in heal.ends if ends.get(index) == heal.at}
    moments = [(event.at, 1, event) for event in plan.events if event.when is None]
    moments += [
        (end, 0, plan.events[index]) for index, end in ends.items() if index not in healed and end < plan.time_limit
    ]
    force: dict[int, LinkOverride] = {}
    for at, begins, event in sorted(moments, key=lambda moment: (moment[0], moment[1], moment[2].index)):
        before = (*plan.links, *force.values())
        if not begins:
            force.pop(event.index, None)
        elif isinstance(event, NetworkFaultPlan):
            force[event.index] = event.override
        elif isinstance(event, HealPlan):
            for index in event.ends:
                force.pop(index, None)
        after = (*plan.links, *force.values())
        network = _change(commands, before, after) if before != after else ()
        order = (begins, event.index)
        if begins:
            yield _Step(at, _begin_text(event, plan), (*_node_commands(event, plan), *network), order)
        else:
            yield _Step(at, _end_text(event), (*_resume_commands(event), *network), order)


def _waiting(plan: Plan, commands: NetworkCommands | None) -> Iterator[str]:
    """Yield the events with a condition.

    The network's commands assume that nothing else is in force.
    """
    for event in plan.events:
        if event.when is None:
            continue
        yield f"  When {event.when.text}: {_begin_text(event, plan)}"
        fault = (event.override,) if isinstance(event, NetworkFaultPlan) else ()
        network = _change(commands, plan.links, (*plan.links, *fault)) if fault else ()
        yield from _indented((*_node_commands(event, plan), *network))


def _begin_text(event: EventPlan, plan: Plan) -> str:
    name = f" [{event.name}]" if event.name else ""
    who = f"the source of {event.source_of}" if event.source_of else name_nodes(event.nodes)
    are = "is" if len(event.nodes) == 1 or event.source_of else "are"
    match event:
        case PausePlan():
            return f"{who} {are} paused{_duration(event)}.{name}"
        case NetworkFaultPlan():
            effect = "" if isinstance(event, ImpairPlan) else ": packets are dropped silently"
            count = len(event.override.pairs)
            return f"{event.text} ({count} directed link{'s' if count > 1 else ''}){effect}.{name}"
        case HealPlan():
            ended = "; ".join(plan.events[index].text for index in event.ends)
            return f"{event.text}; this ends, if in force: {ended}.{name}"
        case RunPlan():
            return f"{who} run{_verb_ending(event.nodes)} the shell command: {event.command}{name}"
        case CommandPlan():
            return f"{who} run{_verb_ending(event.nodes)} the console command: {event.command}{name}"
        case _:
            return f"{who} {are} {_PARTICIPLES[event.verb]}.{name}"


def _duration(event: LastingPlan) -> str:
    if event.until is not None:
        return f" until {format_duration(event.until)}"
    return " for the rest of the run" if event.lasts is None else f" for {format_duration(event.lasts)}"


def _end_text(event: EventPlan) -> str:
    if isinstance(event, PausePlan) and not event.source_of:
        return f"{name_nodes(event.nodes)} resume{_verb_ending(event.nodes)}."
    return f"{event.text} ends."


def _node_commands(event: EventPlan, plan: Plan) -> tuple[str, ...]:
    if event.source_of:
        example = event.choices[:1]
        return tuple(f"# if that is {one.nodes[0]}" for one in example if one.nodes) + tuple(
            command for one in example for command in _node_commands(one, plan)
        )
    match event:
        case CommandPlan():
            words = f"sh -c {shlex.quote(event.command)}" if isinstance(event, RunPlan) else f"console {event.command}"
            return tuple(f"docker compose exec -T {node} {words}" for node in event.nodes)
        case HealPlan():
            return tuple(command for index in event.ends for command in _resume_commands(plan.events[index]))
        case _:
            nodes = " ".join(event.nodes)
            return tuple(f"docker compose {words} {nodes}" for words in _COMPOSE.get(event.verb, ()))


def _resume_commands(event: EventPlan) -> tuple[str, ...]:
    nodes = event.choices[0].nodes if event.choices else event.nodes
    return (f"docker compose unpause {' '.join(nodes)}",) if isinstance(event, PausePlan) else ()


# -- what must be true -----------------------------------------------------------------------------


def _expectations(plan: Plan) -> Iterator[str]:
    for expected in plan.expectations:
        only = " (a warning only)" if expected.severity is Severity.WARNING else ""
        yield f"  {expected.index + 1:>2}. {expected.text}{only}"
