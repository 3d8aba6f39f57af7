"""The committed viewer of report.html is what web/ gives."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "web"
ASSETS = ROOT / "torrentnet" / "lab" / "report" / "assets"
BUILT = ("viewer.css", "viewer.js")
MAX_JAVASCRIPT = 150_000
OLDEST_NODE = (20, 14)
TIMEOUT = 240

pytestmark = pytest.mark.xdist_group("viewer")


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=WEB, capture_output=True, text=True, check=False, timeout=TIMEOUT)


@pytest.fixture(scope="module")
def tools() -> None:
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("Node and npm are not installed: the viewer cannot be built from web/")
    version = tuple(map(int, _run("node", "--version").stdout.strip().lstrip("v").split(".")[:2]))
    if version < OLDEST_NODE:
        pytest.skip("Node is older than 20.14: the viewer cannot be built from web/")
    if not (WEB / "node_modules" / ".bin" / "esbuild").exists():
        installed = _run("npm", "ci", "--silent")
        if installed.returncode:
            pytest.skip(f"npm could not install what builds the viewer: {installed.stderr.strip()[-200:]}")


def test_the_viewer_is_what_its_sources_give(tools: None, tmp_path: Path) -> None:
    built = _run("node", "build.mjs", str(tmp_path))
    assert built.returncode == 0, built.stderr
    for name in BUILT:
        fresh = (tmp_path / name).read_bytes()
        assert fresh == (ASSETS / name).read_bytes(), f"{name} is older than web/: run `make web` and commit it"


def test_the_viewers_own_tests_pass(tools: None) -> None:
    result = _run("npm", "test", "--silent")
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr


def test_the_viewers_sources_have_right_types(tools: None) -> None:
    result = _run("npm", "run", "--silent", "check")
    assert result.returncode == 0, result.stdout[-4000:]


def test_all_javascript_together_is_small() -> None:
    assert (ASSETS / "viewer.js").stat().st_size <= MAX_JAVASCRIPT


def test_the_viewer_asks_nobody() -> None:
    """No address of another host, and nothing that reads HTML from text."""
    script = (ASSETS / "viewer.js").read_text(encoding="utf-8")
    for word in ("https:", "http:", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert word not in script


def test_no_registry_is_named_in_the_lock_file() -> None:
    lock = (WEB / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    assert "omit-lockfile-registry-resolved=true" in (WEB / ".npmrc").read_text(encoding="utf-8")
