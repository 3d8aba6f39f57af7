"""The text of one node's script.

The calibration tests its effect on a real kernel.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from torrentnet.lab.network.impairment import IMPAIRMENTS, CapabilitySplit, PacketImpairment
from torrentnet.lab.network.loopback import LoopbackTranslation
from torrentnet.lab.network.node_settings import MAX_NODES, NodeSettings, OutgoingLink, node_settings
from torrentnet.lab.network.render import ending_settings, explain, render
from torrentnet.lab.network.shaping import FRAME, describe_link, queue_bytes, queue_packets
from torrentnet.lab.scenario.qualities import LinkQualities

if TYPE_CHECKING:
    from collections.abc import Mapping

NODES = {"tracker": "198.18.0.2", "seeder-1": "198.18.0.3", "leecher-1": "198.18.0.4"}
KERNEL = CapabilitySplit()
NETEM = CapabilitySplit(netem=frozenset(IMPAIRMENTS))
LINKS = {
    ("seeder-1", "leecher-1"): LinkQualities(rate=8e6, loss=0.05),
    ("tracker", "leecher-1"): LinkQualities(cut=True),
    ("leecher-1", "seeder-1"): LinkQualities(rate=64e3),
}


class Path:
    """A user-space path whose script only repeats its arguments."""

    qualities = frozenset(IMPAIRMENTS)

    trial = "delayer --try"

    def script(self, address: str, incoming: Mapping[str, PacketImpairment]) -> str:
        return f"delayer {address} {' '.join(incoming) or 'off'}\n"


def of(node: str, links: dict[tuple[str, str], LinkQualities], split: CapabilitySplit = KERNEL) -> NodeSettings:
    return node_settings(links, NODES, split)[node]


def fresh(node: str) -> NodeSettings:
    return NodeSettings(node, NODES[node])


def test_the_script_of_a_node_that_has_just_started() -> None:
    assert explain(of("leecher-1", LINKS), fresh("leecher-1"), KERNEL) == (
        """\
docker compose exec -T --privileged --user 0 leecher-1 sh -s <<'SCRIPT'
set -eu
device=$(set -- $(ip -o -4 address show to 198.18.0.4/32); echo "${2-}")
if [ -z "$device" ]; then echo "no interface has the address 198.18.0.4" >&2; exit 4; fi
ethtool -K "$device" tso off gso off
tc -batch - <<END
qdisc add dev $device root handle 746e: htb default 0
# to seeder-1: 64 kbit/s
class replace dev $device parent 746e: classid 746e:2 htb rate 64000bit burst 3028b cburst 3028b quantum 1514
qdisc replace dev $device parent 746e:2 handle 2: bfifo limit 24224b
filter replace dev $device parent 746e: protocol ip prio 1 handle 800::2 u32 match ip dst 198.18.0.3/32 flowid 746e:2
END
iptables-restore --noflush -w <<END
*filter
:TORRENTNET - [0:0]
# nothing from tracker
-A TORRENTNET -s 198.18.0.2/32 -j DROP
# 5 % of the packets from seeder-1 are lost
-A TORRENTNET -s 198.18.0.3/32
-A TORRENTNET -s 198.18.0.3/32 -m statistic --mode random --probability 0.05 -j DROP
-I INPUT -j TORRENTNET
COMMIT
END
SCRIPT
"""
    )


def test_equal_settings_need_no_script() -> None:
    settings = of("leecher-1", LINKS)
    assert render(settings, settings, KERNEL) == ""
    assert explain(fresh("tracker"), fresh("tracker"), KERNEL) == ""


def test_from_an_unknown_state_our_rules_are_removed_first() -> None:
    script = render(fresh("tracker"), None, KERNEL)
    assert 'tc qdisc del dev "$device" root handle 746e:' in script
    assert "iptables -w -D INPUT -j TORRENTNET" in script
    assert "iptables -w -X TORRENTNET" in script
    assert "tso on" in script
    assert "iptables-restore" not in script and "qdisc add" not in script


def test_one_link_changes_without_touching_the_others() -> None:
    links = {("tracker", "seeder-1"): LinkQualities(rate=1e6), ("tracker", "leecher-1"): LinkQualities(rate=2e6)}
    before = of("tracker", links)
    script = render(of("tracker", {**links, ("tracker", "leecher-1"): LinkQualities(rate=3e6)}), before, KERNEL)
    assert "classid 746e:3 htb rate 3000000bit" in script
    assert "746e:2" not in script and "qdisc add" not in script and "iptables-restore" not in script
    script = render(of("tracker", {("tracker", "seeder-1"): LinkQualities(rate=1e6)}), before, KERNEL)
    assert re.findall(r"^(?:filter|class|qdisc) \w+ .*(?:800::|746e:)(\w+)", script, re.MULTILINE) == ["3", "3"]
    assert script.index("filter del") < script.index("class del")


UPLINK = {("seeder-1", other): LinkQualities(uplink=4e6) for other in ("tracker", "leecher-1")}


def test_an_uplink_is_the_parent_class_of_all_destinations() -> None:
    slow = {**UPLINK, ("seeder-1", "leecher-1"): LinkQualities(uplink=4e6, rate=1e6)}
    script = render(of("seeder-1", slow), fresh("seeder-1"), KERNEL)
    classes = re.findall(
        r"^class replace .* parent (\S+) classid 746e:(\w+) htb rate (\S+) (?:ceil (\S+))?", script, re.M
    )
    # Each destination has an equal part reserved, may use what others leave, and never exceeds its link's own rate.
    assert classes == [
        ("746e:", "2000", "4000000bit", ""),
        ("746e:2000", "1", "2000000bit", "4000000bit"),
        ("746e:2000", "3", "1000000bit", "1000000bit"),
    ]
    assert "# to tracker: one of 2 that share 4 Mbit/s" in script and "tso off" in script


def test_an_uplink_changes_in_place_and_starts_a_new_tree() -> None:
    before = of("seeder-1", UPLINK)
    faster = {pair: LinkQualities(uplink=8e6) for pair in UPLINK}
    script = render(of("seeder-1", faster), before, KERNEL)
    assert "classid 746e:2000 htb rate 8000000bit" in script and "qdisc del" not in script and "qdisc add" not in script
    rates = {pair: LinkQualities(rate=1e6) for pair in UPLINK}
    for new, old in ((rates, UPLINK), (UPLINK, rates)):
        script = render(of("seeder-1", new), of("seeder-1", old), KERNEL)
        assert script.index("qdisc del") < script.index("qdisc add") < script.index("class replace")
        # The counters of the old classes are printed before the classes are removed.
        assert script.index("tc -s") < script.index("qdisc del")
        assert ending_settings(of("seeder-1", new), of("seeder-1", old)).outgoing == of("seeder-1", old).outgoing


def test_the_last_shaped_link_removes_the_root_queue() -> None:
    script = render(fresh("tracker"), of("tracker", {("tracker", "seeder-1"): LinkQualities(rate=1e6)}), KERNEL)
    assert 'tc qdisc del dev "$device" root handle 746e:' in script
    assert "tc -batch" not in script
    assert "tso on gso on" in script


def test_rules_are_replaced_in_one_transaction() -> None:
    script = render(
        of("leecher-1", {("tracker", "leecher-1"): LinkQualities(loss=0.5)}),
        of("leecher-1", {("tracker", "leecher-1"): LinkQualities(cut=True)}),
        KERNEL,
    )
    assert script.count("iptables-restore") == 1
    assert "-D INPUT -j TORRENTNET\n-I INPUT -j TORRENTNET\nCOMMIT" in script
    assert script.index("iptables-save -c") < script.index("iptables-restore")


@pytest.mark.parametrize(
    ("qualities", "rule"),
    [
        (LinkQualities(loss=1.0), "-s 198.18.0.2/32 -j DROP"),
        (LinkQualities(cut=True, loss=0.1), "-s 198.18.0.2/32 -j DROP"),
        (LinkQualities(loss=1e-6), "-s 198.18.0.2/32 -m statistic --mode random --probability 0.000001 -j DROP"),
        (LinkQualities(loss=1 / 3), "-s 198.18.0.2/32 -m statistic --mode random --probability 0.3333333333 -j DROP"),
    ],
)
def test_the_receiver_drops_for_loss_and_cut(qualities: LinkQualities, rule: str) -> None:
    script = render(of("leecher-1", {("tracker", "leecher-1"): qualities}), fresh("leecher-1"), KERNEL)
    assert f"-A TORRENTNET {rule}\n" in script
    assert script.count("-j DROP") == 1


def test_senders_of_lost_or_shaped_links_send_single_packets() -> None:
    assert of("tracker", {("tracker", "seeder-1"): LinkQualities(loss=0.1)}).single_packets
    assert of("tracker", {("tracker", "seeder-1"): LinkQualities(rate=1e6)}).single_packets
    assert of("tracker", {("tracker", "seeder-1"): LinkQualities(cut=True)}).empty
    assert not of("seeder-1", {("tracker", "seeder-1"): LinkQualities(rate=1e6)}).single_packets


def test_netem_gets_all_settings_and_room_for_packets_in_flight() -> None:
    asked = LinkQualities(delay=0.02, jitter=0.005, corruption=0.01, duplication=0.002, reordering=0.25, rate=8e6)
    script = render(of("tracker", {("tracker", "seeder-1"): asked}, NETEM), fresh("tracker"), NETEM)
    assert (
        "qdisc replace dev $device parent 746e:2 handle 1002: netem limit 538 delay 20000us 5000us "
        "duplicate 0.2% corrupt 1% reorder 25%\n" in script
    )
    plain = render(of("tracker", {("tracker", "seeder-1"): LinkQualities(delay=0.1)}, NETEM), fresh("tracker"), NETEM)
    assert "htb rate 100000000000bit" in plain
    assert "netem limit 24415 delay 100000us 0us duplicate 0% corrupt 0% reorder 0%\n" in plain


def test_reordering_needs_a_delay() -> None:
    """The override with the delay may end before the one with the reordering."""
    assert of("tracker", {("tracker", "seeder-1"): LinkQualities(reordering=0.5)}, NETEM).empty


def test_the_user_space_path_runs_only_when_its_work_changes() -> None:
    split = CapabilitySplit(userspace=frozenset(IMPAIRMENTS), path=Path())
    links = {("tracker", "leecher-1"): LinkQualities(delay=0.02, loss=0.1)}
    settings = of("leecher-1", links, split)
    assert settings.impaired == {"198.18.0.2": PacketImpairment(delay=0.02)}
    script = render(settings, fresh("leecher-1"), split)
    assert "delayer 198.18.0.4 198.18.0.2\n" in script and "--probability 0.1 -j DROP\n" in script
    longer = of("leecher-1", {("tracker", "leecher-1"): LinkQualities(delay=0.04, loss=0.1)}, split)
    assert "delayer" in (changed := render(longer, settings, split)) and "iptables-restore" not in changed
    assert "delayer 198.18.0.4 off\n" in render(fresh("leecher-1"), settings, split)
    cut = of("leecher-1", {**links, ("seeder-1", "leecher-1"): LinkQualities(cut=True)}, split)
    assert "delayer" not in render(cut, settings, split)
    assert of("tracker", links, split).single_packets


def test_an_unsupported_quality_is_not_rendered() -> None:
    """``Capabilities.require`` has refused the scenario before."""
    assert of("tracker", {("tracker", "seeder-1"): LinkQualities(delay=0.02)}).empty


def test_hundreds_of_pairs_are_one_script() -> None:
    nodes = {f"node-{n}": f"198.18.{n // 250}.{n % 250 + 2}" for n in range(600)}
    links = {(a, "node-0"): LinkQualities(loss=0.1) for a in nodes}
    links |= {("node-0", b): LinkQualities(rate=1e6) for b in nodes}
    script = render(node_settings(links, nodes, KERNEL)["node-0"], None, KERNEL)
    assert script.count("iptables-restore") == script.count("tc -batch") == 1
    assert script.count("-j DROP") == script.count("class replace") == script.count("filter replace") == 599
    assert "classid 746e:258 " in script and "handle 800::258 " in script  # node-599 is the 600th, 0x258


def test_too_many_nodes_are_refused() -> None:
    nodes = {f"node-{n}": f"10.0.{n // 250}.{n % 250}" for n in range(MAX_NODES + 1)}
    with pytest.raises(ValueError, match=r"^4096 nodes: the network shapes 4095 at most$"):
        node_settings({}, nodes, KERNEL)


@pytest.mark.parametrize(
    ("rate", "size"), [(64e3, 16 * FRAME), (8e6, 250_000), (100e6, 3_125_000), (100e9, 16 * 2**20)]
)
def test_a_queue_holds_a_quarter_of_a_second(rate: float, size: int) -> None:
    assert queue_bytes(rate) == size


def test_without_a_rate_netems_queue_has_at_least_its_default() -> None:
    assert queue_packets(OutgoingLink("b", "198.18.0.3", 2, None, PacketImpairment(delay=0.001))) == 1000


def test_links_in_words() -> None:
    assert (
        describe_link(OutgoingLink("b", "198.18.0.3", 2, 1.5e6, PacketImpairment(0.02, 0.005, 0.01, 0.02, 0.1)))
        == "1.5 Mbit/s, delayed by 20 ms ± 5 ms, 1 % corrupted, 2 % sent twice, 10 % sent ahead of others"
    )
    assert describe_link(OutgoingLink("b", "198.18.0.3", 2, 800, PacketImpairment())) == "800 bit/s"


@pytest.mark.skipif(shutil.which("sh") is None, reason="no sh")
@pytest.mark.parametrize(
    "before", [None, fresh("leecher-1"), of("leecher-1", {("tracker", "leecher-1"): LinkQualities(cut=True)})]
)
def test_every_script_is_correct_shell(before: NodeSettings | None) -> None:
    script = render(of("leecher-1", LINKS), before, KERNEL)
    done = subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


TOLD = {"leecher-1": LoopbackTranslation((("tracker", "198.18.0.2", 6771), ("seeder-1", "198.18.0.3", 6881)))}


def test_a_node_that_is_told_127_0_0_1_has_it_translated() -> None:
    settings = node_settings({}, NODES, KERNEL, TOLD)
    assert render(settings["tracker"], fresh("tracker"), KERNEL) == ""
    script = render(settings["leecher-1"], fresh("leecher-1"), KERNEL)
    assert (
        script.partition("fi\n")[2]
        == """\
allowed=/proc/sys/net/ipv4/conf/all/route_localnet
[ "$(cat $allowed)" = 1 ] || echo 1 >$allowed
iptables-restore --noflush -w <<END
*nat
:TORRENTNET-OUT - [0:0]
:TORRENTNET-IN - [0:0]
:TORRENTNET-BACK - [0:0]
# port 6771 of this machine is tracker
-A TORRENTNET-OUT -d 127.0.0.1/32 -p tcp --dport 6771 -j DNAT --to-destination 198.18.0.2:6771
-A TORRENTNET-OUT -d 127.0.0.1/32 -p udp --dport 6771 -j DNAT --to-destination 198.18.0.2:6771
# port 6881 of this machine is seeder-1
-A TORRENTNET-OUT -d 127.0.0.1/32 -p tcp --dport 6881 -j DNAT --to-destination 198.18.0.3:6881
-A TORRENTNET-OUT -d 127.0.0.1/32 -p udp --dport 6881 -j DNAT --to-destination 198.18.0.3:6881
-A TORRENTNET-BACK -s 127.0.0.0/8 ! -o lo -j SNAT --to-source 198.18.0.4
-A TORRENTNET-IN -d 198.18.0.4/32 ! -i lo -p tcp -m socket --nowildcard -j RETURN
-A TORRENTNET-IN -d 198.18.0.4/32 ! -i lo -p tcp -j DNAT --to-destination 127.0.0.1
-A TORRENTNET-IN -d 198.18.0.4/32 ! -i lo -p udp -m socket --nowildcard -j RETURN
-A TORRENTNET-IN -d 198.18.0.4/32 ! -i lo -p udp -j DNAT --to-destination 127.0.0.1
-I OUTPUT -j TORRENTNET-OUT
-I PREROUTING -j TORRENTNET-IN
-I POSTROUTING -j TORRENTNET-BACK
COMMIT
END
"""
    )


def test_a_changed_link_leaves_the_translation_alone() -> None:
    before = node_settings({}, NODES, KERNEL, TOLD)["leecher-1"]
    after = node_settings(LINKS, NODES, KERNEL, TOLD)["leecher-1"]
    assert "nat" not in render(after, before, KERNEL)
    assert "nat" not in render(before, after, KERNEL)


def test_an_unknown_translation_is_removed_before_it_is_set() -> None:
    script = render(node_settings(LINKS, NODES, KERNEL, TOLD)["leecher-1"], None, KERNEL)
    assert script.index("iptables -w -t nat -X TORRENTNET-BACK") < script.index("*nat")
