"""Models of ``plan.json`` and ``result.json``.

They describe what this version writes. A reader also meets records of older versions and other programs.

Tested by tests/unit/lab/report/schema/test_schema.py.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(description="seconds after t = 0")]
Pairs = Annotated[list[tuple[str, str]], Field(description="directed links, [from, to] each")]
Place = Annotated[str, Field(description="place in the scenario, FILE:LINE:COLUMN")]
UTC = Annotated[str, Field(description="time of day in UTC", examples=["2026-11-23T12:29:11.123Z"])]


class Row(BaseModel):
    """An object with exactly these keys."""

    model_config = ConfigDict(extra="forbid")


class Qualities(Row):
    """Qualities of links; those that are not set are missing. Null removes a limit."""

    rate: float | None = Field(None, description="bits a second of one link")
    uplink: float | None = Field(None, description="bits a second from a node to all others together")
    delay: float = Field(0, description="seconds, one way")
    jitter: float = Field(0, description="seconds by which the delay varies")
    loss: float = Field(0, description="share of packets, 0 to 1")
    corruption: float = Field(0, description="share of packets with a flipped bit")
    duplication: float = Field(0, description="share of packets that arrive twice")
    reordering: float = Field(0, description="share of packets that overtake others")
    cut: bool = Field(False, description="whether all packets are dropped")


# -- plan.json -------------------------------------------------------------------------------------


class PlanFile(Row):
    """A file of the run."""

    name: str
    size: int = Field(description="bytes")
    piece_length: int = Field(description="bytes of a piece, as our own peers cut the file")
    pieces: int
    content: str = Field(description="random, text, or the path of the file that was copied")


class PlanNode(Row):
    """A node with all of its settings."""

    name: str
    group: str
    role: Literal["tracker", "share", "get", "run"]
    file: str | None
    start: Seconds
    program: str = Field(description="torrentnet, another project's name, or program: see foreign")
    strategy: Literal["single", "swarm"] | None = Field(description="of our own peers that download")
    settings: dict[str, str | bool] = Field(description="options of our own program, by name")
    arguments: list[str] = Field(description="the program's command line")
    limits: dict[str, Any] = Field(description="what the node may use of the machine")
    torrents: list[str] = Field(description="files whose .torrent the program receives")
    foreign: dict[str, Any] | None = Field(description="the program that the scenario brings along")


class PlanLink(Row):
    """Qualities of links that hold from the beginning; of several, the last one wins."""

    text: str
    pairs: Pairs
    qualities: Qualities


class PlanTrigger(Row):
    """The condition that an event waits for."""

    text: str
    delay: float = Field(description="seconds from the condition to the event")
    event: int | None = Field(description="the event that must have been applied")
    nodes: list[str] = Field(description="the nodes that must fulfil it")


class PlanEvent(Row):
    """An event of the timeline, as planned."""

    event: int = Field(description="number of the event, from 0")
    kind: str = Field(description="the verb")
    name: str | None
    text: str
    nodes: list[str]
    pairs: Pairs
    qualities: Qualities
    at: Seconds
    when: PlanTrigger | None
    lasts: float | None = Field(description="seconds; null to the end of the run, or without an end")
    until: float | None = Field(description="seconds after t = 0")
    ends: list[int] = Field(description="events that a heal undoes")
    command: str | None
    source_of: str | None = Field(description="the event hits this node's source")
    where: Place


class PlanExpectation(Row):
    """An expectation."""

    kind: str
    text: str
    nodes: list[str]
    level: Literal["failure", "warning"]
    where: Place
    timing: Literal["within", "at", "always"]
    after: int | None = Field(description="event from which time counts")
    deadline: float | None = Field(description="seconds after t = 0; null where it depends on an event's real time")
    seconds: float | None = Field(
        default=None, description="from the event `after`, or from t = 0; null to the end of the run"
    )
    values: dict[str, Any] = Field(description="what is expected, by the kind")


class PlanDocument(Row):
    """`plan.json`: the resolved plan, written before the nodes start."""

    schema_: Literal[1] = Field(alias="schema")
    scenario: str
    about: str
    source: str = Field(description="the scenario's file")
    seed: int
    parameters: dict[str, str]
    time_limit: float = Field(description="seconds after t = 0")
    judged: bool
    files: list[PlanFile]
    nodes: list[PlanNode]
    links: list[PlanLink]
    timeline: list[PlanEvent]
    expectations: list[PlanExpectation]


# -- result.json -----------------------------------------------------------------------------------


class ResultFile(Row):
    """A file of the run."""

    name: str
    sha256: str | None


class ResultNode(Row):
    """A node, with the address that it had."""

    name: str
    role: Literal["tracker", "share", "get", "run"]
    address: str | None
    file: str | None
    start: Seconds


class ResultOutput(Row):
    """What a command in a node has printed."""

    node: str
    status: int | None = Field(description="null where it could not be run, or did not end")
    text: str


class ResultMeasured(Row):
    """Packets of a fault's links, counted while it was in force."""

    text: str
    arrived: int | None = None
    lost: int | None = None
    lost_bytes: int | None = None
    sent: int | None = None
    sent_bytes: int | None = None
    overflowed: int | None = Field(None, description="packets that a full queue has dropped")
    missing: list[str] = Field([], description="nodes whose counters are lost")


class ResultEvent(Row):
    """What the lab has done, or could not do."""

    text: str
    kind: str = Field(description="the verb; the end of a fault is heal, that of a pause resume")
    name: str | None
    nodes: list[str]
    pairs: Pairs
    qualities: Qualities
    planned: Seconds
    began: Seconds
    applied: Seconds
    ended: float | None = Field(description="seconds after t = 0; null where it lasts, or nothing can be undone")
    event: int | None = Field(description="number in the plan's timeline; null for a planned start, and for an end")
    fault: int | None = Field(description="number of the network fault that was put in force")
    ends: int | None = Field(description="the fault that this has ended")
    where: Place | None
    error: str | None = Field(description="why it changed nothing")
    set_in: list[str] = Field([], description="nodes whose rules have changed at once")
    measured: ResultMeasured | None = None
    outputs: list[ResultOutput] = []


class ResultAnswer(Row):
    """What an expectation has found in one node."""

    node: str
    passed: bool
    judged: bool
    measured: str
    time: float | None = Field(description="seconds after t = 0 at which it was decided")
    look: str = Field(description="where to look")


class ResultExpectation(Row):
    """An expectation with its answers."""

    text: str
    says: str = Field(description="the sentence of the report")
    where: Place
    level: Literal["failure", "warning"]
    passed: bool
    judged: bool
    answers: list[ResultAnswer]


class ResultDocument(Row):
    """`result.json`: what has happened, and the verdict."""

    schema_: Literal[1] = Field(alias="schema")
    scenario: str
    about: str
    verdict: Literal["passed", "failed", "not judged", "error", "interrupted"]
    exit_code: int
    error: str | None
    notes: list[str]
    touched: list[str] = Field([], description="what somebody did by hand before the verdict, on the live page")
    began: UTC
    zero: UTC | None = Field(description="t = 0 in UTC; null where the lab did not get so far")
    seconds: dict[str, float] = Field(description="how long each phase took: image, create, start, run, total")
    seed: int
    parameters: dict[str, str]
    time_limit: float = Field(description="seconds after t = 0")
    project: str
    environment: dict[str, str]
    files: list[ResultFile]
    nodes: list[ResultNode]
    timeline: list[ResultEvent]
    expectations: list[ResultExpectation]
