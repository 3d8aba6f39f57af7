"""Agreement of the code and docs/events.md with the table of events.

The table is the contract: every emitter, every reader and the page agree with it.
"""

from __future__ import annotations

import ast
import functools
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.event_check import check_event
from torrentnet.lab.network.counters import Counters
from torrentnet.lab.run.timeline.schedule import AppliedEvent, FaultCounts, NodeOutput, ScheduledItem
from torrentnet.lab.scenario.plan.events import KillPlan
from torrentnet.runtime.event_page import render_page
from torrentnet.runtime.event_table import ADAPTER, ALL, EVENTS, LAB, PEER, SHAPER, TRACKER
from torrentnet.runtime.events import LEVELS, Event, parse_event

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "torrentnet"
EMITTERS = {"tracker": TRACKER, "peer": PEER, "adapters": ADAPTER, "shaper": SHAPER}
"""Room -> its program."""
MEMBER_FIELDS = {"file", "peer", "address"}
WRITTEN_AS_TEXT = {"request", "outcome"}
"""Events that the tracker's audit log formats itself; tests/unit/tracker/world.py checks each of their lines."""


class Use(NamedTuple):
    """An event's name or fields in a source file."""

    where: str
    names: tuple[str, ...]
    keys: frozenset[str]


@functools.cache
def _sources(room: str) -> list[tuple[str, ast.AST]]:
    return [
        (f"{path.relative_to(ROOT)}:{node.lineno}", node)
        for path in sorted((PACKAGE / room).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, (ast.Call, ast.Compare, ast.Match, ast.Assign, ast.AnnAssign))
    ]


def _texts(node: ast.AST) -> tuple[str, ...]:
    """Return all text constants below a node of the tree."""
    return tuple(one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str))


def _choices(node: ast.expr) -> tuple[str, ...]:
    """Return the possible texts of an expression: a constant, or one of two."""
    if isinstance(node, ast.IfExp):
        return _choices(node.body) + _choices(node.orelse)
    return (node.value,) if isinstance(node, ast.Constant) and isinstance(node.value, str) else ()


@functools.cache
def _emitted(room: str) -> list[Use]:
    return list(_find_emitted(room))


def _find_emitted(room: str) -> Iterator[Use]:
    """Yield every event that a room's code writes to an event log.

    The code calls ``emit``, ``warning`` or ``error`` of the event log.
    """
    for where, node in _sources(room):
        if not (isinstance(node, ast.Call) and node.args):
            continue
        called = ast.unparse(node.func)
        method = called.rpartition(".")[2].lstrip("_")
        logs = method in {"warning", "error"} and called.rpartition(".")[0].lstrip("_").endswith(("log", "events"))
        if (method.startswith("emit") or logs) and (names := _choices(node.args[0])):
            yield Use(where, names, frozenset((word.arg or "").removesuffix("_") for word in node.keywords))
        elif "audit_log.py" in where and method == "record" and len(node.args) > 1:
            # The tracker's audit log adds the member's fields to each of its events.
            keys = {word.arg for word in node.keywords if word.arg} | MEMBER_FIELDS
            yield Use(where, _choices(node.args[1]), frozenset(keys))


@functools.cache
def _read() -> list[Use]:
    return list(_find_read())


def _find_read() -> Iterator[Use]:
    """Yield every name and every field of an event that the lab's code reads."""
    for where, node in _sources("lab"):
        if isinstance(node, ast.Compare) and ast.unparse(node.left) in {"event.name", "news.name"}:
            yield Use(where, _texts(node), frozenset())
        elif isinstance(node, ast.Match) and "event.name" in ast.unparse(node.subject):
            yield Use(where, tuple(name for case in node.cases for name in _texts(case.pattern)), frozenset())
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if ast.unparse(target).endswith("_EVENTS"):
                yield Use(where, _texts(node.value), frozenset())
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "get":  # a local short name of event.fields.get
            yield Use(where, (), frozenset(_texts(node.args[0])))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            keys = frozenset(word.arg for word in node.keywords if word.arg) - {"since"}
            owner = ast.unparse(node.func.value)
            match node.func.attr:
                case "first" | "events" if "board" in owner or "state" in owner:
                    yield Use(where, tuple(name for arg in node.args[1:] for name in _choices(arg)), keys)
                case "number":
                    yield Use(where, (), frozenset(_texts(node.args[0])))
                case "matches":
                    yield Use(where, (), keys)
                case "get" if owner.endswith(".fields"):
                    yield Use(where, (), frozenset(_texts(node.args[0])))


def test_the_page_is_made_from_the_table() -> None:
    assert (ROOT / "docs" / "events.md").read_text("utf-8") == render_page()


def test_the_table_is_well_formed() -> None:
    assert len(EVENTS) >= 25
    for spec in EVENTS.values():
        assert spec.emitters
        assert set(spec.emitters) <= {*ALL, SHAPER, LAB}
        assert spec.level in LEVELS
        keys = [field.key for field in spec.fields]
        assert len(keys) == len(set(keys)), spec.name
        # A shared field may name a program that does not write this event, but never only such programs.
        assert all(not field.emitters or set(field.emitters) & set(spec.emitters) for field in spec.fields), spec.name


@pytest.mark.parametrize("room", EMITTERS)
def test_a_program_writes_only_what_the_table_has(room: str) -> None:
    uses = _emitted(room)
    assert len(uses) >= (1 if room == "shaper" else 5)
    wrong = [
        f"{use.where}: {problem}"
        for use in uses
        for name in use.names
        if (problem := check_event(name, use.keys, EMITTERS[room]))
    ]
    assert not wrong


@pytest.mark.parametrize("room", EMITTERS)
def test_a_program_writes_all_that_the_table_has(room: str) -> None:
    written: dict[str, set[str]] = defaultdict(set)
    for use in _emitted(room):
        for name in use.names:
            written[name] |= use.keys
    promised = {
        spec.name: set(spec.field_keys(EMITTERS[room]))
        for spec in EVENTS.values()
        if EMITTERS[room] in spec.emitters and spec.name not in WRITTEN_AS_TEXT
    }
    assert written == promised


def test_the_lab_writes_exactly_what_the_table_has() -> None:
    written: dict[str, set[str]] = defaultdict(set)
    for _, node in _sources("lab"):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".write_lab_event"):
            for name in _choices(node.args[0]):
                written[name] |= {word.arg for word in node.keywords if word.arg}
    output = NodeOutput("a", 0, "")
    counts = FaultCounts(Counters(), cuts=True, loses=True, shapes=True)
    applied = AppliedEvent("kill a", "kill", ("a",), 0.0, 0.0, 0.0, 0, "", "failed", "", ("a",), counts, (output,))
    written["applied"] |= set(applied.row())
    item = ScheduledItem(0.0, 0, "kill", ("a",), "kill a", KillPlan(index=0, at=0.0, nodes=("a",), text="", where=""))
    written["begun"] |= set(item.row(0.0))
    assert written == {spec.name: set(spec.field_keys()) for spec in EVENTS.values() if LAB in spec.emitters}


def test_the_lab_reads_only_what_the_table_has() -> None:
    keys = {key for spec in EVENTS.values() for key in spec.field_keys()}
    uses = _read()
    assert {name for use in uses for name in use.names} >= {"completed", "state", "listening", "forgotten"}
    wrong = [
        f"{use.where}: {sorted(set(use.names) - set(EVENTS))} {sorted(use.keys - keys)}"
        for use in uses
        if not (set(use.names) <= set(EVENTS) and use.keys <= keys)
    ]
    assert not wrong


def test_every_event_that_the_lab_acts_on_has_a_reader() -> None:
    read = {name for use in _read() for name in use.names}
    assert read == {spec.name for spec in EVENTS.values() if spec.readers}


def test_a_wrong_event_is_named() -> None:
    event = parse_event("2026-11-23T12:29:11.123Z picked peer=a address=b among=1")
    assert event is not None
    assert not check_event(event.name, set(event.fields), PEER)
    assert check_event("picked", {"peer", "colour", "age"}) == "picked: no field age, colour"
    assert check_event("picked", set(), TRACKER) == "picked: not an event of the tracker"
    assert check_event("eaten", set()) == "eaten: not in the table of events"
    assert Event("picked", 0.0).fields == {}
