"""The probe of what this kernel can do to packets.

The probe runs once an engine, in a node or a scratch container with the nodes' image. Kernels differ in what they were
built with, and a tool's version says nothing about it: each thing is tried, on the loopback interface of that one
container, and removed again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.lab.errors import EngineError
from torrentnet.lab.network.impairment import IMPAIRMENTS, TIMING, CapabilitySplit, UserspacePath
from torrentnet.lab.network.render import SHELL
from torrentnet.lab.scenario.qualities import QUALITY_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torrentnet.lab.network.netns_exec import NodeExec

NETEM_ABILITIES: Final = {
    "delay": "delay 10ms",
    "jitter": "delay 10ms 2ms",
    "corruption": "corrupt 1%",
    "duplication": "duplicate 1%",
    "reordering": "delay 10ms reorder 1%",
}
"""netem's qualities, each with the words that ask for it."""

FACTS: Final = (
    "tc",
    "iptables",
    "ethtool",
    "htb",
    "u32",
    *(f"netem-{name}" for name in NETEM_ABILITIES),
    "drop",
    "statistic",
)
"""What is tried. The probe's output maps each to the machine's error message, empty where it works."""
USERSPACE: Final = "userspace"
"""Tried too, where there is a user-space path."""

# Two queues at once: newer kernels refuse a second netem where one duplicates, and a node has one for each destination.
_NETEM: Final = "".join(
    f"try netem-{name} sh -c '"
    "tc qdisc replace dev lo parent 746f:1 handle 1001: netem {0} && "
    "tc qdisc replace dev lo parent 746f:2 handle 1002: netem {0}'\n".format(words)
    for name, words in NETEM_ABILITIES.items()
)

SCRIPT: Final = f"""\
try() {{ fact=$1; shift; said=$("$@" 2>&1) && echo "$fact:" || echo "$fact: no" $said; }}
try tc tc -V
try iptables iptables -V
try ethtool ethtool --version
tc qdisc del dev lo root 2>/dev/null
try htb sh -c 'tc qdisc add dev lo root handle 746f: htb default 0 &&
    tc class add dev lo parent 746f: classid 746f:1 htb rate 1mbit &&
    tc class add dev lo parent 746f: classid 746f:2 htb rate 1mbit &&
    tc qdisc add dev lo parent 746f:1 handle 1: bfifo limit 30000b'
try u32 tc filter add dev lo parent 746f: protocol ip prio 1 handle 800::1 u32 match ip dst 127.9.9.9/32 flowid 746f:1
{_NETEM}tc qdisc del dev lo root 2>/dev/null
chain() {{ printf '*filter\\n:TORRENTNET-PROBE - [0:0]\\n-A TORRENTNET-PROBE %s\\nCOMMIT\\n' "$1" |
    iptables-restore --noflush -w; }}
try drop chain '-s 127.9.9.9/32 -j DROP'
try statistic chain '-s 127.9.9.9/32 -m statistic --mode random --probability 0.5 -j DROP'
iptables -w -F TORRENTNET-PROBE 2>/dev/null && iptables -w -X TORRENTNET-PROBE
"""

REASON_LENGTH: Final = 100
KERNEL_REMEDY: Final = (
    "run the lab on a kernel with netem (CONFIG_NET_SCH_NETEM; "
    "`modprobe sch_netem` where it is a module), or leave {quality} out of the scenario"
)
BUILT_WITH: Final = {
    "htb": "CONFIG_NET_SCH_HTB",
    "u32": "CONFIG_NET_CLS_U32",
    "statistic": "CONFIG_NETFILTER_XT_MATCH_STATISTIC",
    "drop": "CONFIG_NF_TABLES and CONFIG_NFT_COMPAT, or CONFIG_IP_NF_FILTER",
}
TOOLS: Final = {"tc": "iproute2", "iptables": "iptables", "ethtool": "ethtool"}
"""Tool to its Debian package."""
NEEDS: Final = {
    "rate": ("tc", "ethtool", "htb", "u32"),
    "uplink": ("tc", "ethtool", "htb", "u32"),
    "loss": ("iptables", "ethtool", "drop", "statistic"),
    "cut": ("iptables", "drop"),
}
KERNEL_MEANS: Final = {"rate": "htb", "uplink": "htb", "loss": "iptables", "cut": "iptables"}


@dataclass(frozen=True, slots=True)
class QualitySupport:
    """How this engine supports a quality, or why it does not."""

    quality: str
    means: str
    """``htb``, ``iptables``, ``netem`` or ``userspace``; empty where the quality is not available."""
    reason: str = ""
    """Why it is not available."""
    remedy: str = ""

    @property
    def ok(self) -> bool:
        """Whether the quality is available."""
        return bool(self.means)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """How this engine supports each quality of a link."""

    rate: QualitySupport
    uplink: QualitySupport
    delay: QualitySupport
    jitter: QualitySupport
    loss: QualitySupport
    corruption: QualitySupport
    duplication: QualitySupport
    reordering: QualitySupport
    cut: QualitySupport
    split: CapabilitySplit
    """Who does delay, jitter, corruption, duplication and reordering."""

    @property
    def all(self) -> tuple[QualitySupport, ...]:
        """The support of each quality, in the order of the qualities."""
        return tuple(getattr(self, name) for name in QUALITY_NAMES)

    def require(self, qualities: Iterable[str]) -> None:
        """Raise EngineError if some of these qualities are not available.

        The error contains each missing quality, the reason and the remedy.
        """
        asked = set(qualities)
        missing = [support for support in self.all if support.quality in asked and not support.ok]
        if missing:
            raise EngineError(
                "\n".join(f"this engine does not support {support.quality}: {support.reason}" for support in missing),
                hint="; ".join(dict.fromkeys(support.remedy for support in missing if support.remedy)),
            )


def probe(run: NodeExec, node: str, userspace: UserspacePath | None = None) -> Capabilities:
    """Try all of the network's abilities in one node.

    Raises EngineError where the script cannot run in the node.
    """
    script, wanted = SCRIPT, FACTS
    if userspace is not None:
        script, wanted = f"{SCRIPT}try {USERSPACE} {userspace.trial}\n", (*FACTS, USERSPACE)
    result = run(node, SHELL, script)
    facts = parse_facts(result.stdout)
    if missing := [fact for fact in wanted if fact not in facts]:
        lines = (result.stderr or result.stdout).strip().splitlines()
        raise EngineError(
            f"the network's abilities cannot be tried in {node} (status {result.status}, no answer for {missing[0]})"
            + (f": {lines[-1][:REASON_LENGTH]}" if lines else ""),
            hint="faults are set by `docker exec --privileged`; does this engine allow it?",
        )
    return choose_capabilities(facts, userspace)


def parse_facts(output: str) -> dict[str, str]:
    """Parse the probe's output into an error message for each fact.

    The message is empty where the fact's ability works. Other lines are skipped.
    """
    facts = {}
    for line in output.splitlines():
        fact, colon, text = line.partition(":")
        if colon and fact in {*FACTS, USERSPACE} and fact not in facts:
            text = text.strip()
            facts[fact] = text if not text else (text.removeprefix("no").strip() or "it failed")[:REASON_LENGTH]
    return facts


def choose_capabilities(facts: Mapping[str, str], userspace: UserspacePath | None) -> Capabilities:
    """Choose the means for every quality."""
    support = {quality: _kernel_support(quality, facts) for quality in NEEDS}
    netem = {
        name for name in IMPAIRMENTS if not _first_missing(("tc", "ethtool", "htb", "u32", f"netem-{name}"), facts)
    }
    if not netem >= TIMING:
        netem -= TIMING
    userspace_error = "this engine has none" if userspace is None else facts[USERSPACE]
    able = set() if userspace is None or userspace_error else set(userspace.qualities) - netem
    if not able >= TIMING - netem:
        able -= TIMING
    for name in IMPAIRMENTS:
        if name in netem:
            support[name] = QualitySupport(name, "netem")
        elif name in able:
            support[name] = QualitySupport(name, "userspace")
        else:
            netem_error = facts[f"netem-{name}"] or "it lacks what netem needs beside it"
            support[name] = QualitySupport(
                name,
                "",
                f"the kernel's netem: {netem_error}; "
                f"a path in user space: {userspace_error or f'it does not do {name}'}",
                KERNEL_REMEDY.format(quality=name),
            )
    split = CapabilitySplit(frozenset(netem), frozenset(able), userspace if able else None)
    return Capabilities(**support, split=split)


def _kernel_support(quality: str, facts: Mapping[str, str]) -> QualitySupport:
    missing = _first_missing(NEEDS[quality], facts)
    if not missing:
        return QualitySupport(quality, KERNEL_MEANS[quality])
    if missing in TOOLS:
        package = TOOLS[missing]
        return QualitySupport(
            quality, "", f"the image has no {missing}", f"install {package} in the image (the Dockerfile does)"
        )
    return QualitySupport(
        quality,
        "",
        f"the kernel refuses {missing}: {facts[missing]}",
        f"run the lab on a kernel with {BUILT_WITH[missing]}",
    )


def _first_missing(needs: Iterable[str], facts: Mapping[str, str]) -> str:
    return next((fact for fact in needs if facts[fact]), "")
