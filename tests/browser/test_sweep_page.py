"""The page of a sweep in a browser: static, narrow, and readable by all."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from tests.browser.visit import Visit, axe_source
from torrentnet.lab.report.sweep_page import sweep_page

if TYPE_CHECKING:
    from pathlib import Path

GRID = {
    "leechers": ["1", "5", "10", "20"],
    "strategy": ["single", "swarm"],
    "a_long_name_of_a_parameter": ["x" * 60, "2"],
}


def sweep() -> dict[str, Any]:
    rows = [
        {
            **dict(zip(GRID, values, strict=True)),
            "run": 1,
            "verdict": "passed" if number else "failed",
            "first_s": 1.25,
            "last_s": 2.0 + number if number else None,
            "bound_client_server_s": 4.0,
            "bound_p2p_s": 1.5,
            "record": f"runs/textbook/2026-11-30T18-31-{number:02}Z",
        }
        for number, values in enumerate(itertools.product(*GRID.values()))
    ]
    return {"scenario": "textbook", "grid": GRID, "settings": {"rate": "4mbit"}, "rows": rows}


def test_a_sweep_is_readable_in_every_look(visit: Visit, tmp_path: Path) -> None:
    axe_source()
    path = tmp_path / "report.html"
    path.write_text(sweep_page(sweep(), tmp_path, tmp_path), "utf-8")
    page = visit.open(path)
    for view in page.locator("details").all():
        view.evaluate("one => one.open = true")
    for look in visit.looks():
        assert not visit.sideways(), look
        assert not visit.axe_violations(), look
    assert not page.locator("script").count()
