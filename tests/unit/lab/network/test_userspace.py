from __future__ import annotations

import subprocess

import pytest

from torrentnet.lab.network.impairment import PacketImpairment
from torrentnet.lab.network.userspace import UserspaceShaper
from torrentnet.shaper.state import ShaperState, parse_state

INCOMING = {
    "198.18.0.3": PacketImpairment(delay=0.02, jitter=0.0005),
    "198.19.1.2": PacketImpairment(delay=5.0, corruption=0.01, duplication=0.000001, reordering=1.0),
}


def state_of(script: str) -> ShaperState:
    """The state that a script passes to the shaper."""
    return parse_state(script.partition("<<END\n")[2].partition("END\n")[0])


def test_the_shapers_state_comes_before_its_rules() -> None:
    script = UserspaceShaper(seed=7).script("198.18.0.4", INCOMING)
    assert script.index("torrentnet.shaper apply") < script.index("iptables-restore")
    assert script.count("-j NFQUEUE") == 2


def test_the_shaper_parses_the_state() -> None:
    first, second = state_of(UserspaceShaper(seed=7).script("198.18.0.4", INCOMING)).queues.values()
    assert (first.delay_ns, first.jitter_ns, first.corruption) == (20_000_000, 500_000, 0)
    assert (second.delay_ns, second.corruption, second.reordering) == (5_000_000_000, 0.01, 1)
    assert second.duplication == pytest.approx(1e-6)


def test_seeds_differ_by_node_and_are_valid() -> None:
    seeds = {
        state_of(UserspaceShaper(seed).script(node, INCOMING)).seed
        for node in ("198.18.0.4", "198.18.0.5")
        for seed in (0, 7, 2**63 - 1)
    }
    assert len(seeds) == 6


def test_with_nothing_to_do_rules_are_removed_first() -> None:
    script = UserspaceShaper().script("198.18.0.4", {})
    assert script.index("-X TORRENTNET-DELAY") < script.index("torrentnet.shaper stop")
    assert "NFQUEUE" not in script


def test_scripts_are_correct_shell() -> None:
    for incoming in ({}, INCOMING):
        script = UserspaceShaper().script("198.18.0.4", incoming)
        done = subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
