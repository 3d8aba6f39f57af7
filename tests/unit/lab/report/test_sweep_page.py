"""The page of a sweep: charts for any two parameters, and every run."""

from __future__ import annotations

import html
import itertools
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from torrentnet.lab.errors import UsageError
from torrentnet.lab.report.sweep_chart import Series, chart
from torrentnet.lab.report.sweep_page import sweep_page, write_sweep_page

if TYPE_CHECKING:
    from pathlib import Path


def sweep(**grid: list[str]) -> dict[str, Any]:
    rows = []
    for number, values in enumerate(itertools.product(*grid.values())):
        last = None if number == 1 else 2.0 + number
        rows.append(
            {
                **dict(zip(grid, values, strict=True)),
                "run": 1,
                "verdict": "failed" if last is None else "passed",
                "first_s": 1.0,
                "last_s": last,
                "bound_client_server_s": 4.0,
                "bound_p2p_s": 1.5,
                "record": f"runs/textbook/{number}",
            }
        )
    return {"scenario": "textbook", "grid": grid, "settings": {"rate": "4mbit"}, "rows": rows}


def words(text: str) -> str:
    text = re.sub(r"<(style)\b.*?</\1>", "", text, flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text)))


def test_each_two_parameters_are_axes_of_small_multiples(tmp_path: Path) -> None:
    page = sweep_page(
        sweep(leechers=["1", "5", "10"], strategy=["single", "swarm"], loss=["0%", "5%"]), tmp_path, tmp_path
    )
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles == [
        *(f"leechers along the axis, {other} as lines" for other in ("strategy", "loss")),
        *(f"strategy along the axis, {other} as lines" for other in ("leechers", "loss")),
        *(f"loss along the axis, {other} as lines" for other in ("leechers", "strategy")),
        "Every run",
    ]
    assert page.count("<figure>") == 2 * (2 + 2 + 3)
    assert "11 of 12 runs passed" in page
    text = words(page)
    assert "loss 5%" in text
    assert "the textbook's bounds: least time, only seeds send; least time, all send" in text
    assert "no time, 0 of 1 passed" in text
    assert "<script" not in page


def test_one_parameter_is_one_line(tmp_path: Path) -> None:
    page = sweep_page(sweep(leechers=["1", "2", "4"]), tmp_path, tmp_path)
    assert page.count("<figure>") == 1
    assert page.count("<circle") == 2
    assert page.count('class="rp-bound"') == 2 + 1


def test_a_run_leads_to_its_report(tmp_path: Path) -> None:
    directory = tmp_path / "runs" / "sweeps" / "textbook" / "now"
    directory.mkdir(parents=True)
    (directory / "sweep.json").write_text(json.dumps(sweep(leechers=["1", "2"])), "utf-8")
    record = tmp_path / "runs" / "textbook" / "0"
    record.mkdir(parents=True)
    (record / "report.html").touch()
    page = write_sweep_page(directory, tmp_path).read_text("utf-8")
    assert re.findall(r'href="(.*?)"', page) == ["../../../textbook/0/report.html"]


def test_numbers_are_to_scale_and_words_are_not() -> None:
    def places(*values: str) -> list[float]:
        drawn = chart("", "x", values, [Series("a", {value: [1.0] for value in values}, 0)])
        return [float(x) for x in re.findall(r'cx="(.*?)"', drawn)]

    first, second, third = places("0ms", "10ms", "100ms")
    assert second - first == pytest.approx((third - first) / 10, abs=0.2)
    first, second, third = places("single", "swarm", "8MiB")
    assert second - first == pytest.approx(third - second, abs=0.2)


def test_hostile_values_stay_text_in_a_chart(tmp_path: Path) -> None:
    page = sweep_page(sweep(**{"<b>": ["</svg><script>", "\u202e"]}), tmp_path, tmp_path)
    assert "<script" not in page
    assert "<b>" not in page
    assert "\u202e" not in page


def test_a_sweep_without_rows_or_with_wrong_ones_is_shown(tmp_path: Path) -> None:
    assert "0 of 0 runs passed" in sweep_page({"grid": {"a": ["1"]}}, tmp_path, tmp_path)
    wrong = {"grid": {"a": ["1"]}, "rows": [{"a": 1, "last_s": "x", "record": 5}, 7]}
    assert "0 of 1 runs passed" in sweep_page(wrong, tmp_path, tmp_path)


def test_a_directory_without_a_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no sweep's table"):
        write_sweep_page(tmp_path, tmp_path)
