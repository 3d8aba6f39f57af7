"""The blocks of a pcapng file, read by a second reader and by tshark."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.unit.lab.capture.frames_kit import udp_frame
from tests.unit.lab.capture.pcapng_reader import read_pcapng
from torrentnet.lab.capture import pcapng

TIME: Final = 1_796_000_000_123_456_789
FRAME: Final = udp_frame("198.18.0.6", "198.18.0.2", b"hello")
TSHARK: Final = shutil.which("tshark")
DOCS: Final = Path(__file__).parents[4] / "docs"
SCRIPT: Final = DOCS / "torrentnet.lua"
PAGE: Final = DOCS / "wireshark.md"


def _file() -> bytes:
    return b"".join(
        (
            pcapng.section_block("torrentnet 1", "three_seeders"),
            pcapng.interface_block("lab", "all nodes", 256),
            pcapng.names_block({"198.18.0.2": "tracker", "198.18.0.6": "leecher-1"}),
            pcapng.packet_block(TIME, 9000, FRAME, ["stopped on arrival at tracker by cable-cut", "tracker: gone"]),
            pcapng.journal_block(TIME + 1000, {"_HOSTNAME": "lab", "MESSAGE": "kill seeder-1"}),
            pcapng.packet_block(TIME + 2000, len(FRAME), FRAME),
            pcapng.statistics_block(TIME + 3000, 3, 1),
        )
    )


def test_a_second_reader_finds_what_was_written() -> None:
    found = read_pcapng(_file())
    assert found.sections == {1: "three_seeders", 4: "torrentnet 1"}
    assert found.interfaces == [(1, 256, {2: b"lab", 3: b"all nodes", 9: b"\x09"})]
    assert found.names == {"198.18.0.2": "tracker", "198.18.0.6": "leecher-1"}
    first, second = found.packets
    assert (first.time, first.length, first.data) == (TIME, 9000, FRAME)
    assert first.comments == ["stopped on arrival at tracker by cable-cut", "tracker: gone"]
    assert (second.length, second.comments) == (len(FRAME), [])
    assert found.entries == [
        {"__REALTIME_TIMESTAMP": str((TIME + 1000) // 1000), "_HOSTNAME": "lab", "MESSAGE": "kill seeder-1"}
    ]
    assert found.dropped == 1


@pytest.mark.parametrize("text", ["ü" * 3000, "\ud800", "x" * 70_000])
def test_any_text_is_a_comment_that_can_be_read(text: str) -> None:
    head = pcapng.section_block("", "") + pcapng.interface_block("lab", "", 256)
    (packet,) = read_pcapng(head + pcapng.packet_block(TIME, 60, FRAME, [text])).packets
    assert 0 < len(packet.comments[0].encode()) <= pcapng.MAX_OPTION


_needs_tshark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed (Debian package: tshark)")


@_needs_tshark
def test_the_script_makes_fields_of_marks_and_knows_the_filters_of_the_page(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    path.write_bytes(_file())
    home = {**os.environ, "HOME": str(tmp_path)}
    assert TSHARK is not None

    def shown(text: str) -> list[str]:
        fields = [
            word for name in ("torrentnet.stopped_by", "torrentnet.said", "_ws.col.Info") for word in ("-e", name)
        ]
        command = [TSHARK or "", "-X", f"lua_script:{SCRIPT}", "-r", str(path), "-Y", text, "-T", "fields", *fields]
        done = subprocess.run(command, env=home, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{text}: {done.stderr}"
        return done.stdout.splitlines()

    try:
        (row,) = shown('torrentnet.stopped_by == "cable-cut"')
    except AssertionError:
        if os.geteuid() == 0 and not _runs_scripts(home):
            pytest.skip("this tshark runs no Lua scripts for root")
        raise
    stopped_by, said, info = row.split("\t")
    assert (stopped_by, said) == ("cable-cut", "tracker: gone")
    assert info.startswith("[stopped by cable-cut] ")
    filters = re.findall(r"^\| `([^`]+)` \| ", PAGE.read_text("utf-8").partition("## Filters")[2], re.MULTILINE)
    assert len(filters) > 5
    for text in filters:
        shown(text.replace("\\|", "|"))


def _runs_scripts(home: dict[str, str]) -> bool:
    command = [TSHARK or "", "-X", f"lua_script:{SCRIPT}", "-G", "protocols"]
    done = subprocess.run(command, env=home, capture_output=True, text=True, check=False, timeout=60)
    return "torrentnet_lab" in done.stdout


@_needs_tshark
def test_tshark_reads_packets_names_events_and_comments(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    path.write_bytes(_file())
    assert TSHARK is not None
    fields = ("frame.number", "frame.len", "_ws.col.Source", "_ws.col.Info", "frame.comment")
    options = [word for name in fields for word in ("-e", name)]
    command = [TSHARK, "-r", str(path), "-N", "n", "-T", "fields", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[:3] for row in rows] == [["1", "9000", "leecher-1"], ["2", rows[1][1], ""], ["3", "47", "leecher-1"]]
    assert "kill seeder-1" in rows[1][3]
    assert rows[0][4] == "stopped on arrival at tracker by cable-cut,tracker: gone"
