"""Tables that all networks of a machine share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from torrentnet.lab.engines import kernel_tables
from torrentnet.lab.engines.kernel_tables import count_dropped, findings, warnings_after, warnings_before

if TYPE_CHECKING:
    from pathlib import Path

ARP = "entries  allocs   table_fulls\n00000002 00002db4 {:08x}\n00000002 00002cc0 00000002\n"
CONNECTIONS = "entries  drop early_drop icmp_error\n0000000a 00000000 {:08x} 000000ff\n"

SET_CONNECTIONS = " sysctl -w net.netfilter.nf_conntrack_max=262144"
SET_NEIGHBOURS = " sysctl -w net.ipv4.neigh.default.gc_thresh3=4096"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A machine's /proc, with the limits of a small one."""
    settings = {"ipv4/neigh/default/gc_thresh3": "1024\n", "netfilter/nf_conntrack_max": "65536\n"}
    for name, text in settings.items():
        file = tmp_path / "sys/net" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    write(tmp_path)
    return tmp_path


def write(proc: Path, neighbours: int = 0, connections: int = 0) -> None:
    folder = proc / "net/stat"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "arp_cache").write_text(ARP.format(neighbours))
    (folder / "nf_conntrack").write_text(CONNECTIONS.format(connections))


def test_a_lab_that_does_not_fit_is_warned_of_before_it_starts(proc: Path) -> None:
    assert warnings_before(50, proc) == []
    assert warnings_before(200, proc) == [
        "warning: the kernel's ARP table has 1024 entries for the whole machine, and 200 nodes need more:"
        + SET_NEIGHBOURS
    ]


def test_a_table_that_was_full_meanwhile_is_named(proc: Path) -> None:
    before = count_dropped(proc)
    assert warnings_after(before, proc) == []
    write(proc, neighbours=17, connections=255)
    assert warnings_after(before, proc) == [
        "warning: the kernel's ARP table was full 17 times meanwhile, and packets were lost:" + SET_NEIGHBOURS,
        "warning: the kernel's conntrack table was full 255 times meanwhile, and packets were lost:" + SET_CONNECTIONS,
    ]


def test_doctor_says_for_how_many_nodes_the_tables_are(proc: Path) -> None:
    write(proc)
    neighbours, connections = findings(proc)
    # The fixture's second processor has counted two.
    assert neighbours.found == (
        "1024 entries, enough for 32 nodes that all talk to each other; was full 2 times since the machine's start"
    )
    assert (neighbours.ok, neighbours.optional) == (False, True)
    assert neighbours.remedy == "sysctl -w net.ipv4.neigh.default.gc_thresh3=4096"
    assert connections.ok
    assert connections.found == "65536 entries, enough for 256 nodes that all talk to each other"


def test_a_kernel_without_these_tables_is_no_failure(tmp_path: Path) -> None:
    assert findings(tmp_path) == []
    assert warnings_before(10_000, tmp_path) == []
    assert warnings_after(count_dropped(tmp_path), tmp_path) == []


@pytest.mark.parametrize("text", ["", "entries\n", "table_fulls\nzz\n", "table_fulls drop\n\n"])
def test_statistics_that_cannot_be_read_count_nothing(proc: Path, text: str) -> None:
    (proc / "net/stat/arp_cache").write_text(text)
    assert kernel_tables.NEIGHBOURS.dropped(proc) == 0


def test_this_machines_tables_can_be_read() -> None:
    limit = kernel_tables.NEIGHBOURS.limit()
    if limit is None:
        pytest.skip("this kernel does not show its ARP table here")
    assert limit > 0
    assert kernel_tables.NEIGHBOURS.dropped() >= 0
