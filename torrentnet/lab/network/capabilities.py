"""The link qualities that an engine supports, from a cached probe.

The probe runs once for each boot and image. A scenario that asks for more is refused before any node is created.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.command_lines import uses_machine_addresses
from torrentnet.lab.engines.types import Finding, NetworkUnavailableError
from torrentnet.lab.errors import EngineError, LabError
from torrentnet.lab.installation import typed_command
from torrentnet.lab.network.impairment import CapabilitySplit
from torrentnet.lab.network.probe import (
    FACTS,
    USERSPACE,
    Capabilities,
    QualitySupport,
    choose_capabilities,
    parse_facts,
    probe,
)
from torrentnet.lab.network.userspace import UserspaceShaper
from torrentnet.lab.paths import machine_folder, write_atomically
from torrentnet.lab.scenario.plan.events import NetworkFaultPlan
from torrentnet.lab.scenario.plan.expectations import BytesCheckPlan
from torrentnet.lab.scenario.qualities import QUALITY_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.engines.types import ExecResult
    from torrentnet.lab.scenario.plan.plan import Plan

CACHE_FILE: Final = "abilities-{engine}.json"


def required_qualities(plan: Plan) -> frozenset[str]:
    """Return the qualities that a scenario's links and events ask for."""
    overrides = [*plan.links, *(event.override for event in plan.events if isinstance(event, NetworkFaultPlan))]
    return frozenset(name for override in overrides for name in override.qualities.effective().asked())


def require_counters(plan: Plan, engine: Engine) -> None:
    """Raise EngineError where the engine cannot count the bytes that checks need.

    A node's bytes cannot be counted where this engine's nodes share an interface.
    """
    counted = [expected for expected in plan.expectations if isinstance(expected, BytesCheckPlan)]
    if counted and (reason := engine.counters_unavailable()):
        raise EngineError(
            f"this engine cannot count the bytes of a node, which `{counted[0].text}` asks for: {reason}",
            hint=f"run the lab with Docker or where nodes can have network namespaces (`{typed_command('doctor')}`)",
        )


def require_translation(plan: Plan, engine: Engine) -> None:
    """Raise EngineError where the engine cannot translate 127.0.0.1.

    Programs may be told that address. Nodes that share the loopback interface have no 127.0.0.1 of their own.
    """
    told = [node for node in plan.nodes if uses_machine_addresses(node)]
    if told and (reason := engine.counters_unavailable()):
        raise EngineError(
            f"this engine cannot translate 127.0.0.1, which the program of {told[0].name} is given: {reason}",
            hint="write `addresses: real` for a program that accepts any address, or run the lab with Docker",
        )


def find_capabilities(engine: Engine, seed: int = 0, cache: Path | None = None) -> Capabilities:
    """Return the link qualities that the engine supports.

    Nothing is supported where the engine cannot set its nodes' network. ``cache`` is the file that holds what was
    probed before; by default this machine's. Raises EngineError where the probe fails.
    """
    path = UserspaceShaper(seed)
    cache = cache or machine_folder() / CACHE_FILE.format(engine=engine.name)
    fingerprint = engine.fingerprint()
    facts = _cached_facts(cache, fingerprint, (*FACTS, USERSPACE))
    if facts is not None:
        return choose_capabilities(facts, path)
    outputs: list[str] = []

    def run(node: str, argv: Sequence[str], stdin: str) -> ExecResult:
        result = engine.exec_root(node, argv, stdin)
        outputs.append(result.stdout)
        return result

    try:
        with engine.scratch() as node:
            found = probe(run, node, path)
    except NetworkUnavailableError as refusal:
        support = {name: QualitySupport(name, "", refusal.message, refusal.hint) for name in QUALITY_NAMES}
        return Capabilities(**support, split=CapabilitySplit())
    if fingerprint is not None:
        # A cache that cannot be written only means another probe.
        with contextlib.suppress(OSError):
            content = {"of": fingerprint, "facts": parse_facts(outputs[0])}
            write_atomically(cache, json.dumps(content, indent=2) + "\n")
    return found


def _cached_facts(cache: Path, fingerprint: str | None, wanted: Sequence[str]) -> dict[str, str] | None:
    try:
        content = json.loads(cache.read_text(encoding="utf-8"))
        if fingerprint is None or content["of"] != fingerprint:
            return None
        return {fact: str(content["facts"][fact]) for fact in wanted}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def findings(engine: Engine) -> list[Finding]:
    """Return the rows of ``doctor`` about the network's qualities.

    Qualities that are supported or refused in the same way share a row.
    """
    try:
        if engine.fingerprint() is None:
            return [Finding("network", True, "will be tried once the image is built")]
        found = find_capabilities(engine)
    except LabError as error:
        return [Finding("network", False, error.message, error.hint, optional=True)]
    rows: dict[tuple[str, str], list[QualitySupport]] = {}
    for support in found.all:
        rows.setdefault((support.means, support.reason.replace(support.quality, "it")), []).append(support)
    return [_finding(row) for row in rows.values()]


def _finding(row: list[QualitySupport]) -> Finding:
    first, names = row[0], ", ".join(support.quality for support in row)
    remedy = first.remedy.replace(first.quality, names)
    return Finding(
        f"network: {names}", first.ok, first.means or f"not available: {first.reason}", remedy, optional=True
    )
