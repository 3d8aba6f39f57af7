"""Which qualities of a link this engine can give: found out once a machine's boot and image, and kept.

A scenario that asks for more is refused before anything is made.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

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
from torrentnet.lab.scenario.plan import BytesCheckPlan, NetworkFaultPlan
from torrentnet.lab.scenario.qualities import QUALITY_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torrentnet.lab.engines.docker.batch_exec import Result
    from torrentnet.lab.engines.interface import Engine
    from torrentnet.lab.network.impairment import UserspacePath
    from torrentnet.lab.scenario.plan import Plan

CACHE_FILE = "abilities-{engine}.json"


def required_qualities(plan: Plan) -> frozenset[str]:
    """The qualities that a scenario asks for, at its beginning or at any time."""
    overrides = [*plan.links, *(event.override for event in plan.events if isinstance(event, NetworkFaultPlan))]
    return frozenset(name for override in overrides for name in override.qualities.effective().asked())


def require_counters(plan: Plan, engine: Engine) -> None:
    """Raise EngineError where a scenario asks what an interface has carried, and this engine's nodes have none."""
    counted = [expected for expected in plan.expectations if isinstance(expected, BytesCheckPlan)]
    if counted and (why := engine.why_no_counters()):
        raise EngineError(
            f"this engine cannot count the bytes of a node, which `{counted[0].text}` asks for: {why}",
            hint=f"run the lab with Docker or where nodes can have network namespaces (`{typed_command('doctor')}`)",
        )


def userspace_path(seed: int) -> UserspacePath:
    """What delays packets where the kernel cannot, for a run with this seed."""
    return UserspaceShaper(seed)


def find_capabilities(engine: Engine, seed: int = 0, keep: Path | None = None) -> Capabilities:
    """What this engine can give. ``keep``: the file that remembers it; this machine's by default.

    Raises EngineError where the engine cannot set its nodes' network at all.
    """
    path = userspace_path(seed)
    keep = keep or machine_folder() / CACHE_FILE.format(engine=engine.name)
    fingerprint = engine.fingerprint()
    facts = _cached_facts(keep, fingerprint, (*FACTS, USERSPACE))
    if facts is not None:
        return choose_capabilities(facts, path)
    said: list[str] = []

    def run(node: str, argv: Sequence[str], stdin: str) -> Result:
        answer = engine.exec_root(node, argv, stdin)
        said.append(answer.stdout)
        return answer.status, answer.stdout, answer.stderr

    try:
        with engine.scratch() as node:
            offer = probe(run, node, path)
    except NetworkUnavailableError as refusal:
        return no_capabilities(refusal)
    if fingerprint is not None:
        # Where nothing can be kept it is found out again.
        with contextlib.suppress(OSError):
            write_atomically(keep, json.dumps({"of": fingerprint, "facts": parse_facts(said[0])}, indent=2) + "\n")
    return offer


def no_capabilities(refusal: NetworkUnavailableError) -> Capabilities:
    """The offer of an engine that can do nothing to its nodes' network: a scenario is told which quality it lacks."""
    ways = {name: QualitySupport(name, "", refusal.message, refusal.hint) for name in QUALITY_NAMES}
    return Capabilities(**ways, division=CapabilitySplit(frozenset(), frozenset(), None))


def _cached_facts(keep: Path, fingerprint: str | None, wanted: Sequence[str]) -> dict[str, str] | None:
    try:
        kept = json.loads(keep.read_text(encoding="utf-8"))
        if fingerprint is None or kept["of"] != fingerprint:
            return None
        return {fact: str(kept["facts"][fact]) for fact in wanted}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def findings(engine: Engine) -> list[Finding]:
    """The rows of ``doctor``: qualities that are given, or refused, in the same way are one row."""
    try:
        if engine.fingerprint() is None:
            return [Finding("network", True, "is tried out once the image is built")]
        offer = find_capabilities(engine)
    except LabError as error:
        return [Finding("network", False, error.message, error.hint, optional=True)]
    rows: dict[tuple[str, str], list[QualitySupport]] = {}
    for way in offer.ways:
        rows.setdefault((way.way, _without(way.why_not, way.quality)), []).append(way)
    return [_finding(ways) for ways in rows.values()]


def _without(text: str, quality: str) -> str:
    return text.replace(quality, "it")


def _finding(ways: list[QualitySupport]) -> Finding:
    first, names = ways[0], ", ".join(way.quality for way in ways)
    remedy = first.remedy.replace(first.quality, names)
    return Finding(f"network: {names}", first.ok, first.way or f"cannot be had: {first.why_not}", remedy, optional=True)
