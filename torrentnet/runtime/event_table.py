"""Table of every event that the programs and the lab write.

It has every name, every field with its unit, who emits the event and who reads it. The table is the contract between
the programs, which write events as lines, and the lab, which reads them and adds its own to the record of a run. Names
and fields that are not in the table do not exist: a test compares every emitter and every reader in this package with
it. :mod:`torrentnet.runtime.event_page` makes docs/events.md from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

TRACKER: Final = "tracker"
PEER: Final = "peer"
ADAPTER: Final = "adapter"
"""The driver of another project's client or tracker."""
SHAPER: Final = "shaper"
"""The program that delays and damages packets in a node, where the kernel cannot."""
LAB: Final = "lab"
"""The lab itself: its events are rows of a run's ``events.jsonl`` and never lines of a node."""
PEERS: Final = (PEER, ADAPTER)
ALL: Final = (TRACKER, PEER, ADAPTER)
"""The programs of nodes."""

STATE: Final = "lab state"
"""What the lab knows of every node: state, pieces, source."""
TRIGGERS: Final = "`when:`"
CHECKS: Final = "checks"
VIEW: Final = "live view"
BOOTSTRAP: Final = "bootstrap"
"""What starts the nodes of a lab, one after the other."""
GRAPH: Final = "distribution graph"
RECORD: Final = "reports"
"""What draws a run from its record."""


@dataclass(frozen=True, slots=True)
class EventField:
    """One ``key=value`` of an event."""

    key: str
    unit: str
    """``bytes``, ``ms``, or what kind of text the value is."""
    meaning: str
    emitters: tuple[str, ...] = ()
    """Programs that write the field; empty for all that write the event."""
    optional: bool = False
    """Whether the field may be missing."""
    values: tuple[str, ...] = ()
    """Every value that the field may have; empty where there are too many to list."""


@dataclass(frozen=True, slots=True)
class EventSpec:
    """One event."""

    name: str
    meaning: str
    emitters: tuple[str, ...]
    """Programs that write the event."""
    readers: tuple[str, ...] = ()
    """Parts of the lab that act on the event. A ``log:`` check can name every event of a node besides."""
    fields: tuple[EventField, ...] = ()
    level: str = "info"
    command: str = ""
    """The command of our own peer program, ``get`` or ``share``, that alone writes the event; empty for both."""

    def field_keys(self, emitter: str | None = None) -> frozenset[str]:
        """Return the keys that ``emitter`` may write, or all of them."""
        return frozenset(
            field.key for field in self.fields if emitter is None or emitter in (field.emitters or self.emitters)
        )


def _file(meaning: str = "the file's name") -> EventField:
    return EventField("file", "file name", meaning)


def _address(meaning: str) -> EventField:
    return EventField("address", "IP:PORT", meaning)


def _reason(meaning: str) -> EventField:
    return EventField("reason", "text", meaning)


_HAVE: Final = EventField("have", "pieces", "verified pieces that the peer holds")
_PIECES: Final = EventField("pieces", "pieces", "pieces of the whole file")
_SIZE: Final = EventField("size", "bytes", "the file's size")
_PEER: Final = EventField("peer", "peer name", "the peer")
_SOURCE: Final = EventField("peer", "peer name", "the source")
_SHA256: Final = EventField("sha256", "hexadecimal", "SHA-256 of the file's bytes on disk", (ADAPTER,))

_DONE: Final = (
    EventField("text", "text", "what the lab does, as the scenario writes it"),
    EventField(
        "kind",
        "word",
        "the verb; the end of a fault is `heal`, that of a pause `resume`, a planned start `start`",
    ),
    EventField("nodes", "node names", "the nodes, as a list"),
    EventField("began", "s", "time after t = 0 at which it began"),
)
"""Fields of whatever the lab does to nodes and to the network."""

NUMBERS: Final = frozenset({"bytes", "ms", "pieces", "piece number", "percent", "number", "peers", "lines"})
"""Units of the fields whose values are whole numbers."""
TRUE_OR_FALSE: Final = "true or false"
"""Unit of the fields whose values are truth values."""

_SPECS: Final = (
    EventSpec(
        "listening",
        "The program is up and can be reached.",
        ALL,
        (BOOTSTRAP, TRIGGERS, GRAPH),
        (
            EventField("program", "word", "`tracker`, `peer`, or the other project's program"),
            EventField("version", "text", "the other project's version", (ADAPTER,), optional=True),
            EventField("name", "node name", "the program's own name"),
            EventField(
                "address", "IP:PORT", "where the program listens; missing if no socket was seen in time", optional=True
            ),
            EventField("keepalive_ms", "ms", "how often peers must report", (TRACKER,)),
            EventField("timeout_ms", "ms", "silence after which a peer is forgotten", (TRACKER,)),
        ),
    ),
    EventSpec("closing", "The program ends in order.", ALL, (), (_reason("`quit` or the signal's name"),)),
    EventSpec(
        "exited",
        "The observed program has ended.",
        (ADAPTER,),
        (),
        (EventField("status", "number", "its exit status; 128 and the signal's number if it was killed"),),
    ),
    EventSpec(
        "error", "The program's work has failed.", ALL, (CHECKS,), (_reason("the cause, as a sentence"),), "error"
    ),
    EventSpec(
        "state",
        "The peer downloads, or has the whole file and serves it.",
        PEERS,
        (STATE, TRIGGERS, CHECKS),
        (EventField("state", "word", "`get` or `seed`", values=("get", "seed")), _file()),
    ),
    EventSpec(
        "hashing",
        "A shared file is being hashed; at most one line every two seconds.",
        (PEER,),
        (),
        (
            _file(),
            EventField("bytes", "bytes", "bytes hashed so far"),
            _SIZE,
            EventField("percent", "percent", "share hashed so far"),
        ),
        command="share",
    ),
    EventSpec(
        "published",
        "A peer that has the whole file is registered at the tracker.",
        ALL,
        (STATE, TRIGGERS, VIEW),
        (
            _file(),
            EventField("peer", "peer name", "the peer", (TRACKER,)),
            EventField("address", "IP:PORT", "where the peer listens", (TRACKER,)),
            EventField("size", "bytes", "the file's size", optional=True),
            EventField("pieces", "pieces", "pieces of the whole file", optional=True),
            EventField("info_hash", "hexadecimal", "SHA-1 of the info dictionary", optional=True),
            _SHA256,
        ),
    ),
    EventSpec(
        "magnet",
        "A shared file can be had by this link.",
        (PEER,),
        (),
        (EventField("link", "URI", "magnet link with name, tracker and this peer"),),
        command="share",
    ),
    EventSpec(
        "lookup",
        "The tracker has answered a look-up.",
        (PEER,),
        (),
        (
            _file(),
            EventField("found", TRUE_OR_FALSE, "whether the tracker knows the name", values=("true", "false")),
            EventField("size", "bytes", "the file's size; 0 when the name is unknown"),
            EventField("seeds", "peers", "peers that have the whole file"),
            EventField("request", "number", "the request's number in the tracker's log"),
        ),
        command="get",
    ),
    EventSpec(
        "picked",
        "A source was picked at random.",
        (PEER,),
        (STATE,),
        (_SOURCE, _address("where the source listens"), EventField("among", "peers", "sources to choose from")),
        command="get",
    ),
    EventSpec(
        "source_lost",
        "A source can no longer be used.",
        (PEER,),
        (VIEW,),
        (_SOURCE, _address("where the source listens"), _reason("why the source was left"), _HAVE),
        command="get",
    ),
    EventSpec(
        "resumed",
        "Pieces of an earlier run were found on disk and verified.",
        (PEER,),
        (STATE,),
        (_file(), _HAVE, _PIECES),
        command="get",
    ),
    EventSpec(
        "bad_piece",
        "A piece had the wrong hash and was discarded.",
        (PEER,),
        (VIEW,),
        (
            EventField("peer", "peer name", "the source, and nobody else"),
            _address("where the source listens"),
            EventField("piece", "piece number", "the piece, counted from 0"),
        ),
        command="get",
    ),
    EventSpec(
        "progress",
        "Pieces have arrived; at most four times a second, and always for the last piece. A long list of pieces takes "
        "several lines with the same counts.",
        PEERS,
        (STATE, VIEW, RECORD),
        (
            _file(),
            _HAVE,
            _PIECES,
            EventField("bytes", "bytes", "verified bytes downloaded by this run"),
            _SIZE,
            EventField(
                "arrived",
                "arrivals",
                "the pieces since the last such event, `IP:PORT/PIECE@MS,...;IP:PORT/...`: each source, its pieces "
                "(`2-5` are four), and how many ms before this line they were verified; a piece without `@` came with "
                "the piece before it",
                (PEER,),
                optional=True,
            ),
        ),
        command="get",
    ),
    EventSpec(
        "completed",
        "A download has become a whole file.",
        ALL,
        (STATE, CHECKS, VIEW, GRAPH),
        (
            _file(),
            EventField("peer", "peer name", "the peer", (TRACKER,)),
            EventField("address", "IP:PORT", "where the peer listens", (TRACKER,)),
            EventField("bytes", "bytes", "verified bytes downloaded by this run", PEERS),
            EventField("ms", "ms", "time since the request", PEERS),
            EventField(
                "sources",
                "text",
                "`NAME:PIECES,...`, or `disk`; of an observed program `IP:BYTES,...`",
                PEERS,
                optional=True,
            ),
            _SHA256,
        ),
        command="get",
    ),
    EventSpec(
        "failed",
        "A download was given up.",
        (PEER,),
        (CHECKS, VIEW),
        (_file(), _reason("the cause, as a sentence")),
        command="get",
    ),
    EventSpec("tracker_silent", "The tracker has stopped answering.", (PEER,), (VIEW,)),
    EventSpec(
        "tracker_refused",
        "The tracker has answered a request with an error; the peer asks again. The same error is written once.",
        (PEER,),
        (),
        (_reason("the tracker's words"),),
    ),
    EventSpec("tracker_back", "The tracker answers again.", (PEER,), (VIEW,)),
    EventSpec(
        "upload",
        "A connection that received bytes has ended.",
        (PEER,),
        (STATE, CHECKS),
        (
            _address("the other end of the connection"),
            EventField("bytes", "bytes", "bytes of blocks sent"),
            _reason("why the connection ended"),
        ),
    ),
    EventSpec(
        "handshake_failed",
        "A connection was closed because its first bytes are not understood; once for each address and cause.",
        (PEER,),
        (),
        (_address("the other end of the connection"), _reason("the cause")),
    ),
    EventSpec(
        "out_of_descriptors",
        "No file descriptor is left: the peer accepts no connection for a second.",
        (PEER,),
        (),
        (EventField("connections", "connections", "open connections to other peers"),),
    ),
    EventSpec(
        "said",
        "The other project's program has printed a line.",
        (ADAPTER,),
        (),
        (EventField("text", "text", "the line, without colours"),),
        "warning",
    ),
    EventSpec(
        "pair",
        "Bytes have passed between an observed program and another node, over TCP; at most four lines a second a peer.",
        (ADAPTER,),
        (STATE, CHECKS, VIEW),
        (
            EventField("peer", "IP", "the other node's own address"),
            EventField("received", "bytes", "payload received from it by all connections since the start"),
            EventField("sent", "bytes", "payload sent to it that it has acknowledged"),
        ),
    ),
    EventSpec(
        "sighted",
        "An observed program has sent or received a UDP datagram; at most 50 lines a second.",
        (ADAPTER,),
        (CHECKS,),
        (
            EventField("direction", "word", "`in` or `out`", values=("in", "out")),
            EventField("from", "IP:PORT", "its sender"),
            EventField("to", "IP:PORT", "its receiver"),
            EventField("bytes", "bytes", "bytes of its payload"),
            EventField("nodes", "node names", "nodes whose address or port is in it, separated by commas"),
            EventField("size", TRUE_OR_FALSE, "whether the file's size is in it", values=("true", "false")),
            EventField("file", TRUE_OR_FALSE, "whether the file's name is in it", values=("true", "false")),
            EventField("left_out", "lines", "datagrams since the last line that were not written", optional=True),
        ),
    ),
    EventSpec(
        "dialled",
        "An observed program has tried to connect; at most one line a second for each address.",
        (ADAPTER,),
        (CHECKS,),
        (_address("where to"), EventField("peer", "node name", "the node that has the address", optional=True)),
    ),
    EventSpec(
        "blind",
        "Something of an observed program cannot be seen on this machine.",
        (ADAPTER,),
        (CHECKS,),
        (_reason("what is not seen, and the cause"),),
        "warning",
    ),
    EventSpec(
        "output_cut",
        "The observed program has printed more than it may; its further lines are dropped.",
        (ADAPTER,),
        (),
        (EventField("bytes", "bytes", "the limit"),),
        "warning",
    ),
    EventSpec(
        "joined",
        "A peer that lacks pieces is registered at the tracker.",
        (TRACKER,),
        (),
        (_file(), _PEER, _address("where the peer listens")),
    ),
    EventSpec(
        "left",
        "A peer has said that it leaves.",
        (TRACKER,),
        (CHECKS, VIEW),
        (_file(), _PEER, _address("where the peer listened")),
    ),
    EventSpec(
        "forgotten",
        "A peer was removed: it was silent, or another program has taken its address.",
        (TRACKER,),
        (CHECKS, VIEW),
        (
            _file(),
            _PEER,
            _address("where the peer listened"),
            EventField("silent_ms", "ms", "time since the peer's last packet"),
        ),
    ),
    EventSpec(
        "request",
        "A peer asks for a file.",
        (TRACKER,),
        (),
        (
            EventField("id", "number", "the request's number in the log"),
            _PEER,
            _file(),
            EventField("holders", "peers", "peers that had the whole file then"),
        ),
    ),
    EventSpec(
        "outcome",
        "A request has ended.",
        (TRACKER,),
        (),
        (
            EventField("id", "number", "the request's number in the log"),
            _PEER,
            _file(),
            EventField("result", "word", "`succeeded`, `failed` or `lost`", values=("succeeded", "failed", "lost")),
            EventField("from", "peer names", "sources of the pieces, separated by commas", optional=True),
            EventField("bytes", "bytes", "verified bytes downloaded; missing when lost", optional=True),
            EventField("ms", "ms", "duration of the request; missing when lost", optional=True),
            EventField("reason", "text", "why the request failed or was lost", optional=True),
        ),
    ),
    EventSpec(
        "refused",
        "A packet got an error or nothing; at most five lines a second in the long run.",
        (TRACKER,),
        (),
        (
            EventField("what", "word", "kind of packet"),
            _address("the sender"),
            _reason("the cause"),
            EventField("left_out", "lines", "refusals since the last line that were not written", optional=True),
        ),
    ),
    EventSpec(
        "left_out",
        "Packets, or an observed program, caused so many lines that some were not written. The tracker's request log "
        "has what they said.",
        (TRACKER, ADAPTER),
        (),
        (
            EventField("lines", "lines", "lines since the last such event that were not written"),
            _reason("the cause"),
        ),
    ),
    EventSpec(
        "shaper_failed",
        "The node's shaper has ended: packets from the sources that it impaired are lost from now on.",
        (SHAPER,),
        (),
        (_reason("the cause"),),
        "error",
    ),
    EventSpec("zero", "The nodes that start at once are up: t = 0.", (LAB,)),
    EventSpec(
        "events_dropped",
        "A node has printed so much that its later events are missing in the record. They count all the same.",
        (LAB,),
        (),
        (
            EventField("of", "node name", "the node"),
            EventField("limit", "bytes", "the most that the record keeps of a node's events, from `limits: {log}`"),
        ),
    ),
    EventSpec(
        "node",
        "A node's process has changed its state.",
        (LAB,),
        (RECORD,),
        (
            EventField("of", "node name", "the node"),
            EventField("state", "text", "the state: `running`, `paused`, `exited (0)` ..."),
        ),
    ),
    EventSpec(
        "begun",
        "The lab begins to do something: an item of the scenario's timeline, or a verb of the Python interface. It is "
        "the cause of what follows.",
        (LAB,),
        (RECORD,),
        (
            *_DONE,
            EventField("planned", "s", "planned time after t = 0; missing for a verb", optional=True),
            EventField("event", "number", "the event's place in `timeline` of `plan.json`, from 0", optional=True),
            EventField("where", "text", "the event's place in the scenario, `FILE:LINE:COLUMN`", optional=True),
        ),
    ),
    EventSpec(
        "applied",
        "What the lab has begun was applied, has ended, or could not be applied.",
        (LAB,),
        (RECORD,),
        (
            *_DONE,
            EventField("name", "text", "the event's name in the scenario", optional=True),
            EventField("pairs", "pairs of nodes", "the links that a fault changes, `[FROM, TO]` each", optional=True),
            EventField(
                "qualities",
                "object",
                "what a fault changes: `cut`, `rate` and `uplink` (bits a second; null: no limit), `delay` and "
                "`jitter` (s), `loss`, `corruption`, `duplication`, `reordering` (shares)",
                optional=True,
            ),
            EventField("planned", "s", "planned time after t = 0; missing for a verb", optional=True),
            EventField("applied", "s", "time after t = 0 at which it was done"),
            EventField("ended", "s", "time after t = 0 at which it was undone; only in `result.json`", optional=True),
            EventField("event", "number", "the event's place in `timeline` of `plan.json`, from 0", optional=True),
            EventField("fault", "number", "number of the network fault that is in force now", optional=True),
            EventField("ends", "number", "the `fault` that is not in force any more", optional=True),
            EventField("where", "text", "the event's place in the scenario, `FILE:LINE:COLUMN`", optional=True),
            EventField("error", "text", "why it changed nothing", optional=True),
            EventField("set_in", "node names", "nodes whose rules have changed, as a list", optional=True),
            EventField("measured", "object", "packets and bytes counted while the fault was in force", optional=True),
            EventField("outputs", "objects", "node, status and text of each command that was run", optional=True),
        ),
    ),
)

EVENTS: Final[Mapping[str, EventSpec]] = MappingProxyType({spec.name: spec for spec in _SPECS})
"""Every event by its name."""
