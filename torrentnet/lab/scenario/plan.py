"""A scenario, resolved: every node by name, every event with its time, every expectation with its deadline.

The scenario room makes a :class:`Plan` from a YAML file; engines, timeline and expectations consume it and never
see YAML. Times are seconds after t = 0 (the moment at which the tracker and the first seeds are up).

Selectors, directions, random choices, parameters and ``every`` have been resolved: an event that is repeated is as many
events. What cannot be known before the run stays open in two places only: :attr:`EventPlan.when`, and
:attr:`ExpectationPlan.after` where it names such an event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.scenario.qualities import LinkOverride


class Role(StrEnum):
    """What a node runs: the tracker, or the peer program in one of its two states."""

    TRACKER = "tracker"
    SHARE = "share"
    GET = "get"


class NodeProgram(StrEnum):
    """What runs in a node, whatever its role."""

    OURS = "torrentnet"
    ARIA2 = "aria2"
    TRANSMISSION = "transmission"
    LIBTORRENT = "libtorrent"
    OPENTRACKER = "opentracker"


class Verb(StrEnum):
    """What a timeline event does."""

    KILL = "kill"
    STOP = "stop"
    PAUSE = "pause"
    RESTART = "restart"
    START = "start"
    PARTITION = "partition"
    """:attr:`EventPlan.patch` cuts pairs of nodes on different sides, or in one direction only."""
    ISOLATE = "isolate"
    """:attr:`EventPlan.patch` cuts single nodes off, or one direction of what they say."""
    IMPAIR = "impair"
    """:attr:`EventPlan.patch` makes pairs worse (or better: the latest patch wins)."""
    HEAL = "heal"
    """Ends earlier events before their time: :attr:`EventPlan.heals`."""
    RUN = "run"
    """Runs :attr:`EventPlan.command` in each node."""
    CONSOLE = "console"
    """Gives :attr:`EventPlan.command` to each node's command line."""


NETWORK_VERBS = frozenset({Verb.PARTITION, Verb.ISOLATE, Verb.IMPAIR})
"""Events with a patch."""
LASTING_VERBS = NETWORK_VERBS | {Verb.PAUSE}
"""Events that are undone: when their time is over, when a ``heal`` names them, and at the end of the run."""


class CheckKind(StrEnum):
    """What an expectation asks about its nodes."""

    HAS = "has"
    BECOMES = "becomes"
    FORGETS = "forgets"
    CONSOLE = "console"
    STATE = "state"
    KNOWS = "knows"
    """How many peers the tracker knows is within :attr:`ExpectationPlan.bound`."""
    LOG = "log"
    """So many lines (:attr:`ExpectationPlan.bound`) of the node's log match :attr:`ExpectationPlan.log`."""
    EXIT = "exit"
    """The node's program has ended by itself or by an event, with :attr:`ExpectationPlan.status`."""
    BYTES = "bytes"
    """What the node has sent and received is within :attr:`ExpectationPlan.sent` and ``received``."""


class Severity(StrEnum):
    """What it means for the run that an expectation does not hold."""

    FAILURE = "failure"
    WARNING = "warning"
    """It is told, and neither the verdict nor the exit status change."""


class TriggerKind(StrEnum):
    """What an event with ``when`` waits for."""

    HAS = "has"
    """Every node of :attr:`Trigger.nodes` has at least :attr:`Trigger.share` of its file's pieces, verified."""
    UP = "up"
    """Every node runs and has said since its last start that it is up: ``listening`` (tracker), ``published``
    (share), ``listening`` (get)."""
    DOWN = "down"
    """Every node's program has been started once and has ended."""
    SEED = "seed"
    """Every node runs and says that it is a seed."""
    AFTER = "after"
    """The event :attr:`Trigger.after` has been applied; its beginning counts, as for expectations."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """When an event happens, where that is known only in the run. It fires once, the first time that it is true.

    HAS, UP, DOWN and SEED are true when they are true of all nodes at once. They are looked at from t = 0 on, so that
    what is true then already fires at t = 0.
    """

    cause: TriggerKind
    text: str
    """As the scenario says it: ``leecher-1 has 50% of myfile.txt``, ``2s after kill seeder-1``."""
    nodes: tuple[str, ...] = ()
    """Everyone who must fulfil it; empty for AFTER."""
    file: str | None = None
    """HAS: the file's name; it is the one that every one of the nodes shares or gets."""
    share: float = 1.0
    """HAS: the least share of the pieces, more than 0, at most 1."""
    after: int | None = None
    """AFTER: the other event's index; it may have a ``when`` of its own, never in a circle."""
    delay: float = 0.0
    """Seconds from the moment at which it came true to the event."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A number that is asked for; a bound that is None is open."""

    least: int | None = None
    most: int | None = None

    def holds(self, number: int) -> bool:
        """Whether a number is within it."""
        return (self.least is None or number >= self.least) and (self.most is None or number <= self.most)


@dataclass(frozen=True, slots=True)
class LogPattern:
    """Which lines of a node's log are meant: those that hold a text, or the event lines of a kind."""

    text: str | None = None
    """The line holds it, in any place. None where ``event`` is given."""
    event: str | None = None
    """The event line has this name ..."""
    fields: tuple[tuple[str, str], ...] = ()
    """... and all of these fields with exactly these values."""


@dataclass(frozen=True, slots=True)
class FilePlan:
    """One file that the lab makes before the nodes start."""

    name: str
    """Where it is made, relative to the lab's folder of files: ``myfile.txt``, or ``fake/myfile.txt`` where the
    scenario gives it out under another file's name; that folder has to be made first. Content
    follows this whole name."""
    size: int | None
    """Bytes of content made from the scenario's seed; None where ``source`` is given."""
    source: Path | None


@dataclass(frozen=True, slots=True)
class TorrentPlan:
    """A .torrent that the lab makes, for programs that cannot ask for a file by its name. It names no tracker."""

    file: str
    """The :attr:`FilePlan.name` that it describes, and its own name too."""
    piece_length: int | None
    """Bytes; None is what our own peers would choose."""
    private: bool
    """BEP 27. Transmission and libtorrent give a private file's info dictionary to nobody."""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node: a Compose service of its own."""

    name: str
    group: str
    role: Role
    file: str | None
    """The file that a peer shares or gets; None for the tracker. A sharer's is a :attr:`FilePlan.name` and so may have
    a folder in front; on the network the file goes by the last part."""
    start: float
    """Seconds after t = 0 at which the node is started; 0 for the tracker and the first seeds."""
    arguments: tuple[str, ...] = ()
    """Options for the program's command line, ``("--keepalive", "500ms")``."""
    disk: int | None = None
    """Bytes of the node's own directory (``/data``), which is then a file system in memory of that size; None for the
    usual volume. What is in it is gone when the node's program ends."""
    program: NodeProgram = NodeProgram.OURS
    """Whose program it runs."""
    torrents: tuple[str, ...] = ()
    """The :attr:`TorrentPlan.file` of each .torrent that its program is given."""


@dataclass(frozen=True, slots=True)
class EventPlan:
    """One thing that happens to nodes at a time.

    In the order of the plan all events with a planned time come first, by time; those with ``when`` come after them.

    A node that an event meets in vain (kill of a dead node), a patch that leaves every link as it was, a ``heal`` that
    finds nothing to end, a command that ends with another status than 0, and a ``when`` that has not come true when
    the run is over are all events that changed nothing: they fail the run.
    """

    index: int
    """Its place in ``Plan.events``."""
    at: float
    """The planned second. With ``when``: the earliest second at which it could happen, for those who sort by it."""
    verb: Verb
    nodes: tuple[str, ...]
    """Whom it meets. For a patch, every node of its pairs; for ``heal``, every node of what it ends."""
    lasts: float | None
    """Seconds after which it is undone (pause, then resume; a patch, then its removal); None where it does not last, or
    lasts for the rest of the run. With ``when`` it counts from the moment at which the event happened."""
    text: str
    """As the scenario says it: ``kill seeder-1``, ``pause seeder-2 for 3s``."""
    where: str
    """``file:line:column``."""
    when: Trigger | None = None
    """What it waits for; None where ``at`` is its time."""
    until: float | None = None
    """Only with ``when``, instead of ``lasts``: the second after t = 0 at which it is undone. If it has not happened by
    then, it has changed nothing."""
    patch: LinkOverride | None = None
    """PARTITION, ISOLATE, IMPAIR: what is laid over the network while the event lasts."""
    heals: tuple[int, ...] = ()
    """HEAL: the indices of the lasting events that it ends, those of them that are in force: their patches are removed,
    their nodes resumed. At least one must be in force."""
    command: str | None = None
    """RUN: given to ``sh -c`` in each node, as the node's own user. CONSOLE: the words for the node's command line, to
    be split as a shell would."""
    name: str = ""
    """The scenario's own name for it; empty where it has none."""


@dataclass(frozen=True, slots=True)
class ExpectationPlan:
    """One thing that must be true of every node named."""

    index: int
    check: CheckKind
    nodes: tuple[str, ...]
    text: str
    """As a person would say it: ``leecher-1, leecher-2 have myfile.txt within 60s``."""
    where: str
    within: float | None = None
    """Seconds it may take, counted from ``after`` or from t = 0. None together with ``at`` or ``always``, and where it
    may take until the time limit after an event whose time is not known yet."""
    at: float | None = None
    """Seconds after t = 0 at which it must be true."""
    after: int | None = None
    """Index of the event from which ``within`` and ``always`` count; it may have a ``when``."""
    file: str | None = None
    """HAS: the file's name."""
    state: str | None = None
    """BECOMES: ``seed``; STATE: ``running``, ``paused``, ``exited``."""
    forgotten: tuple[str, ...] = ()
    """FORGETS: the nodes that the tracker must no longer know."""
    command: str | None = None
    """CONSOLE: what is typed at the node's command line."""
    contains: tuple[str, ...] = ()
    """CONSOLE: texts that the answer must hold."""
    lacks: tuple[str, ...] = ()
    """CONSOLE: texts that the answer must not hold."""
    always: float | None = None
    """Seconds for which it must be true without a break, whenever it is looked at; counted from ``at``, from ``after``,
    or from t = 0. ``math.inf``: to the end of the run. Such a one does not keep the run going: it has passed when
    everything else is decided and the timeline is over. Never with BECOMES, FORGETS or EXIT."""
    level: Severity = Severity.FAILURE
    """Whether the run has failed if this has."""
    pass_text: str = ""
    """The scenario's own sentence for a report where it holds; empty for the usual one."""
    fail_text: str = ""
    """The same where it does not hold."""
    bound: Interval | None = None
    """KNOWS: how many peers the tracker's `peers` lists. LOG: how many lines there are."""
    log: LogPattern | None = None
    """LOG: which lines are meant. Those count that were printed after ``after`` happened, or all from the node's first
    start on, over restarts."""
    status: int | None = None
    """EXIT: the exit status of the node's program, 0 to 255; 137 where it was killed."""
    sent: Interval | None = None
    """BYTES: what the node's network interface has sent since the node was last started, headers included."""
    received: Interval | None = None
    """BYTES: the same for what it has received. Where both are given, both must hold."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole experiment."""

    name: str
    about: str
    source: Path
    seed: int
    time_limit: float
    files: tuple[FilePlan, ...]
    nodes: tuple[NodePlan, ...]
    events: tuple[EventPlan, ...]
    expectations: tuple[ExpectationPlan, ...] = field(default=())
    links: tuple[LinkOverride, ...] = ()
    """The network's state at t = 0, oldest first: patches that lie under those of all events and that nothing heals."""
    parameters: tuple[tuple[str, str], ...] = ()
    """The scenario's parameters with the values that are in force, in the order of the file."""
    torrents: tuple[TorrentPlan, ...] = ()

    @property
    def foreign(self) -> tuple[NodeProgram, ...]:
        """Other people's programs that nodes run, each once."""
        return tuple(dict.fromkeys(node.program for node in self.nodes if node.program is not NodeProgram.OURS))
