"""Every kind of check, on real nodes.

The checks pass, fail, or only warn.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from tests.integration.helpers import SCENARIOS, torrentnet

if TYPE_CHECKING:
    from pathlib import Path


def test_all_checks_hold_and_a_warning_fails_nothing(home: Path) -> None:
    answer = torrentnet(home, "run", str(SCENARIOS / "checks.yaml"), "--set", "size=1024KiB", "--no-report")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "checks: PASSED, 9 of 10 expectations hold, 1 only warns" in answer.stdout
    assert "  ok    the tracker is left with two\n" in answer.stdout
    assert "  WARN  nobody stops the leecher at once\n" in answer.stdout
    assert re.search(r"received 1\.0 MiB \(\d{7} bytes\), at \d\.\d s", answer.stdout)
    result = json.loads((home / "runs/checks/latest/result.json").read_text(encoding="utf-8"))
    assert result["verdict"] == "passed"
    assert result["parameters"] == {"size": "1024KiB"}
    assert [(row["level"], row["passed"]) for row in result["expectations"]][-1] == ("warning", False)
    assert not (home / "runs/checks/latest/report.html").exists()
    suite = ET.parse(home / "runs/checks/latest/junit.xml").getroot()
    assert suite.get("failures") == "0"
    (warning,) = suite.findall("testcase/system-out")
    assert (warning.text or "").startswith("warning: nobody stops the leecher at once: leecher: ")


def test_a_failed_check_reports_what_it_measured(home: Path) -> None:
    answer = torrentnet(home, "run", str(SCENARIOS / "checks_fail.yaml"))
    assert answer.returncode == 1, answer.stdout + answer.stderr
    for line in (
        r"tracker: 2 peers \(seeder, leecher\), expected at most 1, at \d\.\d s",
        r"leecher: no line with the event bad_piece, expected at least 1",
        r"leecher: 1 line with the text `completed`, expected exactly 0; at \d\.\d s: .* completed file=myfile\.txt",
        r"leecher: ended with status 0 at \d\.\d s, expected status 1",
        r"leecher: received 1\.0 MiB \(\d{7} bytes\), expected at most 1\.0 MiB \(1048576 bytes\), at \d\.\d s",
        r"leecher: paused at \d\.\d s; it had held for \d\.\d s",
        r"tracker: 2 peers \(seeder, leecher\), expected exactly 0, at \d\.\d s",
    ):
        assert re.search(line, answer.stdout), f"no {line} in:\n{answer.stdout}"
    assert "checks_fail: FAILED, 0 of 7 expectations hold, 1 only warns" in answer.stdout
    assert re.search(r"^report: runs/checks_fail/.*/report\.html$", answer.stdout, re.MULTILINE)
    page = (home / "runs/checks_fail/latest/report.html").read_text(encoding="utf-8")
    assert "Failed: 0 of 7 expectations hold" in page
    assert "leecher: ended with status 0 at" in page
    suite = ET.parse(home / "runs/checks_fail/latest/junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("7", "6")
    assert "the leecher ended in the wrong way: ended with status 0" in ET.tostring(suite, encoding="unicode")
