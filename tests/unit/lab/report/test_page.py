"""report.html: what it says without a script, and that no text becomes markup."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from typing import TYPE_CHECKING, Any

from tests.unit.lab.report.records import killed_seed_rows, result, row, write_record
from torrentnet.lab.report import page
from torrentnet.lab.report.run_document import run_document

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

HOSTILE = "</script><script>alert(1)</script>\u202egnp.exe"


def with_viewer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    (folder / "viewer.js").write_text("start('</script>');\n", "utf-8")
    (folder / "viewer.css").write_text("#viewer { color: red }\n", "utf-8")
    monkeypatch.setattr(page, "ASSETS", folder)


def words(text: str) -> str:
    """Return what a person reads without a script."""
    text = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text)))


def failed() -> dict[str, Any]:
    outcome = result() | {"verdict": "failed", "exit_code": 1}
    (one,) = outcome["expectations"]
    answer = {**one["answers"][0], "passed": False, "measured": "3 of 12 pieces", "time": None}
    outcome["expectations"] = [one | {"passed": False, "says": "leecher lacks pieces", "answers": [answer]}]
    return outcome


def test_the_verdict_is_readable_without_a_script(tmp_path: Path) -> None:
    text = words(page.report_page(run_document(write_record(tmp_path / "r", outcome=result()))))
    for wanted in (
        "Passed: 1 of 1 expectations hold",
        "leecher: complete at 2.0 s",
        "trial.yaml:20:5; to inspect: torrentnet attach leecher request logs",
        "seed7",
        "parameter size1kB",
        "enginelocal (namespaces), Python 3.11",
        f"SHA-256 {'ab' * 32}, 1,000 bytes in 4 pieces",
        "torrentnet run trial --set size=1kB --engine local",
        "1.00 s kill seeder-1",
    ):
        assert wanted in text


def test_a_failed_expectation_says_what_was_measured_and_expected(tmp_path: Path) -> None:
    text = words(page.report_page(run_document(write_record(tmp_path / "r", outcome=failed()))))
    assert "Failed: 0 of 1 expectations hold" in text
    assert "✗ fails: leecher lacks pieces expected: leecher has a.txt within 9s leecher: 3 of 12 pieces" in text


def test_the_policy_allows_this_script_and_these_styles_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_viewer(tmp_path / "assets", monkeypatch)
    text = page.report_page(run_document(write_record(tmp_path / "r", outcome=result())))
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1])  # type: ignore[index]
    for element, directive in (("script", "script-src"), ("style", "style-src")):
        found = re.findall(rf"<{element}>(.*?)</{element}>", text, re.DOTALL)
        hashes = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in found]
        assert found
        assert " ".join(f"'sha256-{one}'" for one in hashes) == re.search(rf"{directive} ([^;]*)", policy)[1]  # type: ignore[index]
    assert policy.startswith("default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:;")
    assert not re.findall(r"""\b(?:src|href)=["'](?!#)""", text)


def test_the_document_is_embedded_with_packed_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_viewer(tmp_path / "assets", monkeypatch)
    document = run_document(write_record(tmp_path / "r", outcome=result()))
    text = page.report_page(document, against=document)
    for name in ("run", "against"):
        data = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.DOTALL)
        assert data is not None
        embedded = json.loads(data[1])
        assert embedded["arrivals"]["n"] == 4
        assert len(gzip.decompress(base64.b64decode(embedded["arrivals"]["gz"]))) == 4 * 4 * 4
        assert {**embedded, "arrivals": None} == {**document, "arrivals": None}


def test_hostile_names_and_lines_stay_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_viewer(tmp_path / "assets", monkeypatch)
    outcome = result() | {"about": HOSTILE, "error": HOSTILE, "notes": [HOSTILE], "parameters": {HOSTILE: HOSTILE}}
    outcome["nodes"][3]["name"] = HOSTILE
    outcome["expectations"][0] |= {"says": HOSTILE, "where": HOSTILE}
    outcome["expectations"][0]["answers"][0] |= {"node": HOSTILE, "measured": HOSTILE + "x" * 4096, "look": HOSTILE}
    rows = [*killed_seed_rows(), row(2.0, "lab", "begun", text=HOSTILE, nodes=[HOSTILE])]
    record = write_record(tmp_path / "r", rows, outcome, logs={"tracker": f"{HOSTILE}\x00\x1b[2J\n"})
    text = page.report_page(run_document(record))
    assert "<script>alert" not in text
    assert "\u202e" not in words(text)
    assert text.count("<script") == text.count("</script>") == 2


def test_without_a_viewer_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "ASSETS", tmp_path / "none")
    text = page.report_page(run_document(write_record(tmp_path / "r", outcome=result())))
    assert "This installation has no viewer" in words(text)
    assert "<script" not in text


def test_many_nodes_of_an_expectation_are_folded_and_failed_ones_come_first(tmp_path: Path) -> None:
    outcome = failed()
    good = {**outcome["expectations"][0]["answers"][0], "passed": True, "measured": "complete", "node": "seeder-1"}
    outcome["expectations"][0]["answers"] = [good] * 20 + outcome["expectations"][0]["answers"]
    text = words(page.report_page(run_document(write_record(tmp_path / "r", outcome=outcome))))
    assert text.index("leecher: 3 of 12 pieces") < text.index("seeder-1: complete")
    assert "16 more nodes" in text


def test_the_page_of_a_killed_lab_and_of_no_nodes_says_what_is_known(tmp_path: Path) -> None:
    text = words(page.report_page(run_document(write_record(tmp_path / "killed"))))
    assert "Interrupted" in text
    assert "the record has no result: the lab was killed, or is still running" in text
    empty = result() | {"nodes": [], "expectations": [], "verdict": "not judged"}
    text = words(page.report_page(run_document(write_record(tmp_path / "empty", [], empty))))
    assert "Not judged" in text
    assert "Nothing is expected of this run." in text
