"""What a figure's line says of the machine."""

from __future__ import annotations

from pathlib import Path

from bench.rig.machine import inspect_machine, parse_memory, parse_processor


def test_the_processor_is_the_first_one_named() -> None:
    assert parse_processor("processor\t: 0\nmodel name\t: AMD  EPYC\nmodel name\t: other\n") == "AMD EPYC"
    assert parse_processor("processor\t: 0\nCPU part\t: 0xd0c\n") == ""


def test_memory_is_said_in_whole_gibibytes() -> None:
    assert parse_memory("MemTotal:       24681884 kB\n") == "24 GiB"
    assert parse_memory("") == "unknown"


def test_a_directory_that_is_no_checkout_has_no_commit(tmp_path: Path) -> None:
    assert inspect_machine("docker 1", tmp_path).commit == "unknown"
    line = inspect_machine("docker 1", Path(__file__).parent).line()
    assert "docker 1" in line
    assert "unknown" not in line.partition("commit")[2]
