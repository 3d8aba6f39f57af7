from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.network.test_render import Path
from torrentnet.lab.engines.types import ExecResult
from torrentnet.lab.errors import EngineError
from torrentnet.lab.network.impairment import IMPAIRMENTS
from torrentnet.lab.network.probe import FACTS, SCRIPT, choose_capabilities, parse_facts, probe
from torrentnet.runtime.process import EXIT_UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EVERYTHING = dict.fromkeys((*FACTS, "userspace"), "")
UNKNOWN = "Error: Specified qdisc kind is unknown."
NO_NETEM = EVERYTHING | dict.fromkeys([fact for fact in FACTS if fact.startswith("netem-")], UNKNOWN)


def means(facts: Mapping[str, str], path: Path | None = None) -> dict[str, str]:
    return {support.quality: support.means for support in choose_capabilities(facts, path).all}


def test_a_kernel_with_everything() -> None:
    assert means(EVERYTHING, Path()) == {
        "rate": "htb",
        "uplink": "htb",
        "delay": "netem",
        "jitter": "netem",
        "loss": "iptables",
        "corruption": "netem",
        "duplication": "netem",
        "reordering": "netem",
        "cut": "iptables",
    }
    assert choose_capabilities(EVERYTHING, Path()).split.path is None


def test_a_kernel_without_netem_uses_the_user_space_path() -> None:
    found = means(NO_NETEM, Path())
    assert {found[name] for name in IMPAIRMENTS} == {"userspace"}
    split = choose_capabilities(NO_NETEM, Path()).split
    assert split.userspace == set(IMPAIRMENTS) and split.path is not None and not split.netem


def test_delay_jitter_and_reordering_share_one_mechanism() -> None:
    """Delay, jitter and reordering: all in the kernel, or all in user space.

    With one of them in the kernel and another in user space, a packet would wait in two queues.
    """
    found = means(EVERYTHING | {"netem-jitter": UNKNOWN}, Path())
    assert (found["delay"], found["jitter"], found["reordering"]) == ("userspace",) * 3
    assert found["duplication"] == "netem"


def test_a_refusal_has_quality_reason_and_remedy() -> None:
    offer = choose_capabilities(NO_NETEM, None)
    offer.require(["rate", "loss", "cut"])
    with pytest.raises(EngineError) as caught:
        offer.require(["jitter", "rate", "delay"])
    assert caught.value.exit_code == EXIT_UNAVAILABLE
    assert str(caught.value) == (
        "this engine does not support delay: the kernel's netem: Error: Specified qdisc kind is unknown.; "
        "a path in user space: this engine has none\n"
        "this engine does not support jitter: the kernel's netem: Error: Specified qdisc kind is unknown.; "
        "a path in user space: this engine has none"
    )
    assert caught.value.hint == (
        "run the lab on a kernel with netem (CONFIG_NET_SCH_NETEM; `modprobe sch_netem` where it is a module), "
        "or leave delay out of the scenario; "
        "run the lab on a kernel with netem (CONFIG_NET_SCH_NETEM; `modprobe sch_netem` where it is a module), "
        "or leave jitter out of the scenario"
    )


def test_a_path_that_does_not_work_here_gives_its_reason() -> None:
    offer = choose_capabilities(NO_NETEM | {"userspace": "the kernel has no NFQUEUE"}, Path())
    assert offer.delay.reason == (
        "the kernel's netem: Error: Specified qdisc kind is unknown.; a path in user space: the kernel has no NFQUEUE"
    )


def test_a_path_can_support_some_qualities_only() -> None:
    class Delays(Path):
        qualities = frozenset({"delay", "jitter", "reordering"})

    offer = choose_capabilities(NO_NETEM, Delays())
    assert offer.delay.means == "userspace"
    assert offer.corruption.reason.endswith("a path in user space: it does not do corruption")
    assert offer.duplication.reason.endswith("a path in user space: it does not do duplication")


@pytest.mark.parametrize(
    ("fact", "quality", "reason", "remedy"),
    [
        ("htb", "rate", "the kernel refuses htb: said so", "run the lab on a kernel with CONFIG_NET_SCH_HTB"),
        ("u32", "rate", "the kernel refuses u32: said so", "run the lab on a kernel with CONFIG_NET_CLS_U32"),
        (
            "statistic",
            "loss",
            "the kernel refuses statistic: said so",
            "run the lab on a kernel with CONFIG_NETFILTER_XT_MATCH_STATISTIC",
        ),
        (
            "drop",
            "cut",
            "the kernel refuses drop: said so",
            "run the lab on a kernel with CONFIG_NF_TABLES and CONFIG_NFT_COMPAT, or CONFIG_IP_NF_FILTER",
        ),
        ("tc", "rate", "the image has no tc", "install iproute2 in the image (the Dockerfile does)"),
        ("iptables", "cut", "the image has no iptables", "install iptables in the image (the Dockerfile does)"),
    ],
)
def test_a_missing_tool_or_option_is_named(fact: str, quality: str, reason: str, remedy: str) -> None:
    support = getattr(choose_capabilities(EVERYTHING | {fact: "said so"}, None), quality)
    assert (support.ok, support.reason, support.remedy) == (False, reason, remedy)


def test_facts_are_parsed_from_the_scripts_output() -> None:
    facts = parse_facts(
        "htb:\nnetem-delay: no Error: Specified qdisc kind is unknown.\ndrop: no\nother: no\nnoise\nhtb: no\n"
    )
    assert facts == {"htb": "", "netem-delay": UNKNOWN, "drop": "it failed"}


def test_a_node_that_cannot_run_the_script_is_an_error() -> None:
    def refuse(node: str, argv: Sequence[str], stdin: str) -> ExecResult:
        return ExecResult(126, "", "OCI runtime exec failed: permission denied\n")

    with pytest.raises(EngineError) as caught:
        probe(refuse, "node-1")
    assert str(caught.value) == (
        "the network's abilities cannot be tried in node-1 (status 126, no answer for tc): "
        "OCI runtime exec failed: permission denied"
    )


def test_the_script_is_correct_shell_and_tries_every_fact() -> None:
    done = subprocess.run(["sh", "-n"], input=SCRIPT, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [fact for fact in FACTS if f"try {fact} " not in SCRIPT] == []
