"""What this kernel offers: tried once an engine, in a node or a throw-away container with the nodes' image.

Kernels differ in what they were built with, and a tool's version says nothing about it: each thing is tried, on the
loopback interface of that one container, and taken away again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torrentnet.lab.errors import EngineError
from torrentnet.lab.network.impairment import IMPAIRMENTS, TIMING, CapabilitySplit, UserspacePath
from torrentnet.lab.network.render import SHELL
from torrentnet.lab.scenario.qualities import QUALITY_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torrentnet.lab.network.controller import NodeExec

NETEM_ABILITIES = {
    "delay": "delay 10ms",
    "jitter": "delay 10ms 2ms",
    "corruption": "corrupt 1%",
    "duplication": "duplicate 1%",
    "reordering": "delay 10ms reorder 1%",
}
"""Each of netem's with the words that ask for it."""

FACTS = ("tc", "iptables", "ethtool", "htb", "u32", *(f"netem-{name}" for name in NETEM_ABILITIES), "drop", "statistic")
"""What is tried. The probe's answer maps each to what the machine said against it: empty where it works."""
USERSPACE = "userspace"
"""Tried too, where there is such a path."""

# Two queues at once: newer kernels refuse a second netem where one duplicates, and a node has one for each destination.
_NETEM = "".join(
    f"try netem-{name} sh -c '"
    "tc qdisc replace dev lo parent 746f:1 handle 1001: netem {0} && "
    "tc qdisc replace dev lo parent 746f:2 handle 1002: netem {0}'\n".format(words)
    for name, words in NETEM_ABILITIES.items()
)

SCRIPT = f"""\
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

REASON_SHOWN = 100
NO_REMEDY = ""
KERNEL_REMEDY = (
    "run the lab on a kernel with netem (CONFIG_NET_SCH_NETEM; "
    "`modprobe sch_netem` where it is a module), or leave {quality} out of the scenario"
)
BUILT_WITH = {
    "htb": "CONFIG_NET_SCH_HTB",
    "u32": "CONFIG_NET_CLS_U32",
    "statistic": "CONFIG_NETFILTER_XT_MATCH_STATISTIC",
    "drop": "CONFIG_NF_TABLES and CONFIG_NFT_COMPAT, or CONFIG_IP_NF_FILTER",
}
TOOLS = {"tc": "iproute2", "iptables": "iptables", "ethtool": "ethtool"}
"""Tools with their Debian packages."""
NEEDS = {
    "rate": ("tc", "ethtool", "htb", "u32"),
    "uplink": ("tc", "ethtool", "htb", "u32"),
    "loss": ("iptables", "ethtool", "drop", "statistic"),
    "cut": ("iptables", "drop"),
}
KERNEL_MEANS = {"rate": "htb", "uplink": "htb", "loss": "iptables", "cut": "iptables"}


@dataclass(frozen=True, slots=True)
class QualitySupport:
    """How a quality is given on this engine, or why it is not."""

    quality: str
    way: str
    """``htb``, ``iptables``, ``netem`` or ``userspace``; empty where the quality cannot be had."""
    why_not: str = ""
    remedy: str = ""

    @property
    def ok(self) -> bool:
        return bool(self.way)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Every quality of a link with the way that this engine has for it."""

    rate: QualitySupport
    uplink: QualitySupport
    delay: QualitySupport
    jitter: QualitySupport
    loss: QualitySupport
    corruption: QualitySupport
    duplication: QualitySupport
    reordering: QualitySupport
    cut: QualitySupport
    division: CapabilitySplit
    """Who does delay, jitter, corruption, duplication and reordering: what ``render`` needs to know."""

    @property
    def ways(self) -> tuple[QualitySupport, ...]:
        """All of them, in the order of the qualities."""
        return tuple(getattr(self, name) for name in QUALITY_NAMES)

    def require(self, qualities: Iterable[str]) -> None:
        """Raise EngineError (exit code 3) where one of these cannot be had: which, why not, and the remedy."""
        asked = set(qualities)
        refused = [way for way in self.ways if way.quality in asked and not way.ok]
        if refused:
            raise EngineError(
                "\n".join(f"this engine cannot give {way.quality}: {way.why_not}" for way in refused),
                hint="; ".join(dict.fromkeys(way.remedy for way in refused if way.remedy)),
            )


def probe(run: NodeExec, node: str, userspace: UserspacePath | None = None) -> Capabilities:
    """Try everything in one node. Raises EngineError where the node cannot be asked."""
    script, wanted = SCRIPT, FACTS
    if userspace is not None:
        script, wanted = f"{SCRIPT}try {USERSPACE} {userspace.trial}\n", (*FACTS, USERSPACE)
    status, output, errors = run(node, SHELL, script)
    facts = parse_facts(output)
    if missing := [fact for fact in wanted if fact not in facts]:
        said = (errors or output).strip().splitlines()
        raise EngineError(
            f"the network's abilities cannot be tried in {node} (status {status}, no answer for {missing[0]})"
            + (f": {said[-1][:REASON_SHOWN]}" if said else ""),
            hint="faults are set by `docker exec --privileged`; does this engine allow it?",
        )
    return choose_capabilities(facts, userspace)


def parse_facts(output: str) -> dict[str, str]:
    """The probe's output: fact to what was said against it, empty where it works. Other lines are skipped."""
    facts = {}
    for line in output.splitlines():
        fact, colon, said = line.partition(":")
        if colon and fact in {*FACTS, USERSPACE} and fact not in facts:
            said = said.strip()
            facts[fact] = said if not said else (said.removeprefix("no").strip() or "it failed")[:REASON_SHOWN]
    return facts


def choose_capabilities(facts: Mapping[str, str], userspace: UserspacePath | None) -> Capabilities:
    """Choose a way for every quality. Pure."""
    ways = {quality: _kernel_way(quality, facts) for quality in NEEDS}
    netem = {name for name in IMPAIRMENTS if not _first_lack(("tc", "ethtool", "htb", "u32", f"netem-{name}"), facts)}
    if not netem >= TIMING:
        netem -= TIMING
    against = "this engine has none" if userspace is None else facts[USERSPACE]
    able = set() if userspace is None or against else set(userspace.qualities) - netem
    if not able >= TIMING - netem:
        able -= TIMING
    for name in IMPAIRMENTS:
        if name in netem:
            ways[name] = QualitySupport(name, "netem")
        elif name in able:
            ways[name] = QualitySupport(name, "userspace")
        else:
            said = facts[f"netem-{name}"] or "it lacks what netem needs beside it"
            ways[name] = QualitySupport(
                name,
                "",
                f"the kernel's netem: {said}; a path in user space: {against or f'it does not do {name}'}",
                KERNEL_REMEDY.format(quality=name),
            )
    division = CapabilitySplit(frozenset(netem), frozenset(able), userspace if able else None)
    return Capabilities(**ways, division=division)


def _kernel_way(quality: str, facts: Mapping[str, str]) -> QualitySupport:
    lack = _first_lack(NEEDS[quality], facts)
    if not lack:
        return QualitySupport(quality, KERNEL_MEANS[quality])
    if lack in TOOLS:
        return QualitySupport(
            quality, "", f"the image has no {lack}", f"install {TOOLS[lack]} in the image (the Dockerfile does)"
        )
    return QualitySupport(
        quality, "", f"the kernel refuses {lack}: {facts[lack]}", f"run the lab on a kernel with {BUILT_WITH[lack]}"
    )


def _first_lack(needs: Iterable[str], facts: Mapping[str, str]) -> str:
    return next((fact for fact in needs if facts[fact]), "")
