"""From a sweep's rows to the textbook's figure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from bench import figure, plots

if TYPE_CHECKING:
    from pathlib import Path

CSV = """\
leechers,strategy,run,verdict,last_s,bound_client_server_s,bound_p2p_s
5,single,1,passed,16.5,15.0,10.0
5,swarm,1,passed,11.0,15.0,10.0
5,swarm,2,failed,,15.0,10.0
5,swarm,3,passed,12.0,15.0,10.0
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "figure.csv").write_text(CSV, encoding="utf-8")
    return tmp_path


def test_every_strategy_is_held_against_its_own_curve_and_failed_runs_are_left_out(folder: Path) -> None:
    rows = figure.read_rows(folder / "figure.csv")
    measured = figure.measured_of(rows)
    assert measured == {"single": {5: [16.5]}, "swarm": {5: [11.0, 12.0]}}
    assert [line.split() for line in figure.table(rows, measured)] == [
        ["single", "5", "leechers", "16.5", "s", "bound", "15.0", "s", "1.1", "(1.1-1.1)"],
        ["swarm", "5", "leechers", "11.5", "s", "bound", "10.0", "s", "1.15", "(1.1-1.2)"],
    ]


def test_figures_can_be_drawn_again_without_measuring(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = figure.read_rows(folder / "figure.csv")
    plots.save(figure.draw_figure(figure.measured_of(rows), figure.FULL), folder, "figure")
    words = " ".join(ET.parse(folder / "figure.svg").getroot().itertext())
    assert "client-server: N F / us" in words and "measured, strategy swarm" in words
    assert "F = 15 MB, each leecher sends u = 4 Mbit/s, the seed us = 40 Mbit/s" in words
    assert (folder / "figure.png").stat().st_size > 10_000


def test_what_was_never_measured_cannot_be_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORRENTNET_HOME", str(tmp_path))
    assert figure.main(["--again", "--quick"]) == 2
    assert "figure.csv is not there" in capsys.readouterr().err
