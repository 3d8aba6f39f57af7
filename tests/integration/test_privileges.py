"""What a node may do to the machine: nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.engines import DOCKER, LOCAL, on
from tests.integration.helpers import ROOT
from torrentnet.lab.paths import runtime_folder

if TYPE_CHECKING:
    from torrentnet.lab.api import Lab


@on(DOCKER)
def test_nodes_have_no_privilege(small: Lab) -> None:
    status = small.exec("seeder-1", "cat", "/proc/self/status").stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split()[0] == "10001"
    assert int(fields["CapBnd"], 16) == int(fields["CapEff"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    assert small.exec("seeder-1", "touch", "/usr/bin/x").status != 0
    assert small.exec("seeder-1", "touch", "/files/x").status != 0
    assert small.exec("seeder-1", "touch", "/data/x").status == 0


@on(LOCAL)
def test_a_node_cannot_change_the_machine(small: Lab) -> None:
    engine = small.engine
    assert engine.locations["seeder-1"].data == "/data"
    assert small.exec("seeder-1", "pwd").output == "/data"
    assert small.exec("seeder-1", "hostname").output == "seeder-1"
    assert "Read-only file system" in small.exec("seeder-1", "touch", f"{ROOT}/not-here").output
    assert "Read-only file system" in small.exec("seeder-1", "touch", "/files/not-here").output
    assert small.exec("seeder-1", "touch", "/data/here").status == 0
    assert small.exec("seeder-2", "ls", "/data/here").status != 0
    assert small.exec("seeder-1", "ip", "link", "set", "eth0", "down").status != 0
    assert "127.0.0.1" not in small.exec("seeder-1", "cat", "/proc/net/route").output
    # The node's own program is a fork of its supervisor, which may do all of that.
    status = small.exec("seeder-1", "cat", "/proc/1/status").stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Name"] == "peer.py"
    assert fields["NoNewPrivs"] == "1"
    # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: root reads a checkout that is somebody else's.
    for which in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[which], 16) & ~0b110 == 0, which
    # As root, with all rights, in the node's own network and nowhere else.
    as_root = engine.exec_root("seeder-1", ["sh", "-s"], "ip -o -4 address show dev eth0; cat >&2", timeout=60)
    assert engine.locations["seeder-1"].address in as_root.stdout


@on(LOCAL)
def test_a_node_sees_no_socket_of_the_lab_or_the_machine(small: Lab) -> None:
    # The registry has the supervisor's socket and the consoles of all nodes.
    assert runtime_folder().is_dir()
    assert small.exec("seeder-1", "ls", "-A", str(runtime_folder())).output == ""
    assert small.exec("seeder-1", "find", "/run", "-type", "s").output == "/run/torrentnet/console.sock"


@on(LOCAL)
def test_memory_disk_and_open_files_of_a_node_are_limited(small: Lab) -> None:
    assert "MemoryError" in small.exec("seeder-1", "python3", "-c", "bytearray(2**30)").output
    assert small.exec("seeder-1", "sh", "-c", "ulimit -n; ulimit -c").output.split() == ["1024", "0"]
    small.exec("seeder-1", "sh", "-c", "head -c 1000 /dev/zero > /data/kept")
    full = small.exec("seeder-1", "sh", "-c", "cat /dev/zero > /data/big; rm /data/big")
    assert "No space left on device" in full.output
    small.restart("seeder-1")
    assert small.exec("seeder-1", "stat", "-c", "%s", "/data/kept").output == "1000"
