"""Tests of the page's HTML and its policy."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

from torrentnet.lab.ui.page import make_page

if TYPE_CHECKING:
    from pathlib import Path


def test_policy_allows_exactly_what_is_in_the_page(tmp_path: Path) -> None:
    (tmp_path / "viewer.js").write_text('var torrentnetViewer = {a: "</script>"};\n')
    (tmp_path / "viewer.css").write_text("main { color: red }\n")
    page = make_page("trial", tmp_path)
    scripts = re.findall(r"<script>(.*?)</script>", page.html, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", page.html, re.DOTALL)
    assert len(scripts) == 2
    for kind, texts in (("script-src", scripts), ("style-src", styles)):
        hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert " ".join([kind, *(f"'sha256-{one}'" for one in hashes)]) in page.policy
    assert "default-src 'none'" in page.policy
    assert "connect-src 'self'" in page.policy
    assert "frame-ancestors 'none'" in page.policy
    assert "unsafe" not in page.policy


def test_page_has_no_handler_and_loads_nothing(tmp_path: Path) -> None:
    html = make_page("trial", tmp_path).html
    assert not re.search(r"\son\w+=", html)
    assert "src=" not in html
    assert re.findall(r'href="([^"]*)"', html) == ["data:,"]


def test_title_is_data(tmp_path: Path) -> None:
    assert "<b>" not in make_page("<b>", tmp_path).html


def test_missing_viewer_is_said_by_the_page(tmp_path: Path) -> None:
    assert "the viewer is missing from this installation" in make_page("trial", tmp_path / "nothing").html
