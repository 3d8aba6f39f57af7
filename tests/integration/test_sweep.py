"""A sweep runs real labs, and keeps what it has when it is interrupted."""

from __future__ import annotations

import csv
import re
import signal
from typing import TYPE_CHECKING

from tests.integration.helpers import Running, torrentnet, wait

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engines import Kind

SMALL = ("--set", "strategy=single", "--set", "size=512KB", "--set", "rate=8mbit")


def rows_of(home: Path) -> list[dict[str, str]]:
    with (home / "runs" / "sweeps" / "textbook" / "latest" / "sweep.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_point_is_a_run_and_a_row(home: Path) -> None:
    answer = torrentnet(home, "sweep", "textbook", "--grid", "leechers=1,3", *SMALL)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stderr == ""
    rows = rows_of(home)
    assert [(row["leechers"], row["verdict"], row["leechers_done"], row["leechers_late"]) for row in rows] == [
        ("1", "passed", "1", "0"),
        ("3", "passed", "3", "0"),
    ]
    for row in rows:
        # The first one needs a copy of the seed's at least, the last one what is the least for all of them; and the
        # seed has sent the file to each.
        copy = float(row["bound_client_server_s"]) / int(row["leechers"])
        assert copy < float(row["first_s"]) <= float(row["last_s"])
        assert float(row["bound_p2p_s"]) < float(row["last_s"])
        assert int(row["seeds_sent_bytes"]) > int(row["leechers"]) * 512_000
        assert (home / row["record"] / "result.json").is_file()
    page = home / "runs" / "sweeps" / "textbook" / "latest" / "report.html"
    links = re.findall(r'href="(.*?)"', page.read_text(encoding="utf-8"))
    assert [(page.parent.resolve() / link).resolve() for link in links] == [
        home.resolve() / row["record"] / "report.html" for row in rows
    ]


def test_an_interrupt_keeps_the_rows_and_no_lab(home: Path, engine: Kind) -> None:
    with Running(home, "sweep", "textbook", "--grid", "leechers=1,2,3", "--repeat", "5", *SMALL) as sweep:
        sweep.wait_line("1 of 15")
        sweep.signal(signal.SIGINT)
        assert sweep.wait() == 130
        assert "interrupted; the rows so far are kept" in sweep.text
    rows = rows_of(home)
    assert 1 <= len(rows) < 15 and rows[0]["verdict"] == "passed"
    assert wait(lambda: not engine.left_over(home))
