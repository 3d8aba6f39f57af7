"""Probing an engine's network capabilities, once.

A missing capability is refused by name before any node is created.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.fakes import FakeEngine, event, make_plan, seeder
from torrentnet.lab.engines.types import ExecResult
from torrentnet.lab.errors import EngineError
from torrentnet.lab.network import capabilities
from torrentnet.lab.network.probe import FACTS, USERSPACE
from torrentnet.lab.scenario.plan.events import KillPlan, PartitionPlan
from torrentnet.lab.scenario.qualities import LinkOverride, LinkQualities
from torrentnet.runtime.process import EXIT_UNAVAILABLE

if TYPE_CHECKING:
    from pathlib import Path

PAIRS = frozenset({("seeder-1", "tracker")})


def engine(*against: str, said: str = "no such kind") -> FakeEngine:
    """Return an engine without the facts that begin with one of ``against``.

    By default, the engine lacks delay and its like.
    """
    against = against or ("netem", USERSPACE)
    it = FakeEngine("tracker", "seeder-1")
    lines = [f"{fact}: no {said}" if fact.startswith(against) else f"{fact}:" for fact in (*FACTS, USERSPACE)]
    it.rooted["scratch"] = ExecResult(0, "\n".join(lines) + "\n", "")
    return it


def test_capabilities_are_probed_once_and_cached(tmp_path: Path) -> None:
    first, second, cache = engine(), engine(), tmp_path / "folder" / "cache.json"
    assert capabilities.find_capabilities(first, cache=cache) == capabilities.find_capabilities(second, cache=cache)
    assert (first.scratched, second.scratched) == (1, 0)


def test_another_fingerprint_is_probed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache.json"
    assert capabilities.find_capabilities(engine(), cache=cache).rate.ok
    other = engine("htb")
    monkeypatch.setattr(other, "fingerprint", lambda: "fake 2")
    assert not capabilities.find_capabilities(other, cache=cache).rate.ok
    assert other.scratched == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"of": "fake 1", "facts": {}}', '{"of": "fake 1"}'])
def test_a_malformed_cache_is_probed_again(tmp_path: Path, text: str) -> None:
    cache, it = tmp_path / "cache.json", engine()
    cache.write_text(text, encoding="utf-8")
    assert capabilities.find_capabilities(it, cache=cache).loss.ok
    assert it.scratched == 1


def test_a_scenario_requires_what_links_and_events_ask_for() -> None:
    plan = make_plan(nodes=(seeder(),), events=(event(0, 1.0, KillPlan, "seeder-1"),))
    assert capabilities.required_qualities(plan) == set()
    link = LinkOverride(PAIRS, LinkQualities(rate=8e6, loss=0.0), "link")
    override = LinkOverride(PAIRS, LinkQualities(cut=True), "cut")
    cut = event(0, 1.0, PartitionPlan, "seeder-1", override=override)
    assert capabilities.required_qualities(replace(plan, links=(link,), events=(cut,))) == {"rate", "cut"}


def test_a_missing_quality_is_refused_with_the_remedy(tmp_path: Path) -> None:
    offer = capabilities.find_capabilities(engine(), cache=tmp_path / "cache.json")
    offer.require(["rate", "loss", "cut"])
    with pytest.raises(EngineError) as refused:
        offer.require(["loss", "delay"])
    assert refused.value.exit_code == EXIT_UNAVAILABLE
    assert refused.value.message.startswith("this engine does not support delay: the kernel's netem: no such kind")
    assert "CONFIG_NET_SCH_NETEM" in refused.value.hint


def test_doctor_shows_qualities_of_one_kind_in_one_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(capabilities, "machine_folder", lambda: tmp_path)
    rows = capabilities.findings(engine())
    assert [(row.what, row.ok, row.optional) for row in rows] == [
        ("network: rate, uplink", True, True),
        ("network: delay, jitter, corruption, duplication, reordering", False, True),
        ("network: loss, cut", True, True),
    ]
    assert "no such kind" in rows[1].found
    assert "leave delay, jitter" in rows[1].remedy


def test_doctor_shows_an_engine_that_cannot_set_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(capabilities, "machine_folder", lambda: tmp_path)
    it = FakeEngine("tracker")
    it.rooted["scratch"] = ExecResult(126, "", "OCI runtime exec failed: operation not permitted")
    (row,) = capabilities.findings(it)
    assert not row.ok
    assert "operation not permitted" in row.found
    assert "exec --privileged" in row.remedy


def test_doctor_does_not_probe_before_there_is_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    it = engine()
    monkeypatch.setattr(it, "fingerprint", lambda: None)
    assert [row.found for row in capabilities.findings(it)] == ["will be tried once the image is built"]
    assert it.scratched == 0
