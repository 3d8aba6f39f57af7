"""The page of benchmark figures.

Parts that were measured again replace the old ones, and the others stay as they are.
"""

from __future__ import annotations

from pathlib import Path

from bench.page import Part, parse_parts, render_page, render_part
from bench.section import Table

TABLE = Table("Rates", ("program", "MB/s"), (("ours", "600 (590-611)"), ("a|b", "3")), "Three runs.")


def test_a_part_has_its_table_its_command_and_its_plots() -> None:
    text = render_part(Part("The bytes", "Measured with `make bench`.", [TABLE], [Path("/x/bytes-rate.svg")], "Notes."))
    assert text.splitlines()[0] == "## The bytes"
    assert "| program | MB/s |\n| --- | --- |\n| ours | 600 (590-611) |\n| a\\|b | 3 |" in text
    assert "*Measured with `make bench`.*" in text
    assert "![bytes rate](benchmarks/bytes-rate.svg)" in text
    assert text.endswith("Notes.\n")


def test_a_page_is_taken_apart_into_what_it_was_made_of() -> None:
    parts = {"bytes": "## The bytes\n\nold\n", "swarm": "## The swarm\n\n### A table\n"}
    page = render_page(parts)
    assert "make bench only=bytes" in page
    assert parse_parts(page) == parts


def test_a_page_written_by_hand_has_no_parts() -> None:
    assert parse_parts("# Benchmarks\n\nNothing yet.\n") == {}
