"""Texts that no file of the repository may contain.

They are names of machines, registries and checkouts.
"""

from __future__ import annotations

import configparser
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from torrentnet.lab.scenario.load import load_plan

ROOT = Path(__file__).resolve().parents[2]


def _repository() -> list[Path]:
    """Return all files of the repository.

    They are those that git knows, and new ones that git does not ignore.
    """
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    paths = (ROOT / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name)
    # A file that is deleted but not yet out of the index is no longer there.
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def _host_names(text: str) -> set[str]:
    """Host names in URLs, without those that every machine has."""
    found = re.findall(r"[a-z+]+://(?:[^/\s@\"']*@)?([A-Za-z0-9.-]+\.[A-Za-z0-9-]*[A-Za-z])", text)
    return {name.lower() for name in found if not name.lower().endswith(".localhost")}


def _apt_sources() -> str:
    apt = Path("/etc/apt")
    files = [apt / "sources.list", apt / "apt.conf"]
    for folder in ("sources.list.d", "apt.conf.d", "mirrors"):
        files += sorted((apt / folder).glob("*"))
    text = "\n".join(
        path.read_text("utf-8", "replace") for path in files if path.is_file() and os.access(path, os.R_OK)
    )
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("#", "//")))


def _pip_settings() -> str:
    home = Path.home()
    files = [Path("/etc/pip.conf"), home / ".pip" / "pip.conf", home / ".config" / "pip" / "pip.conf"]
    files += [Path(sys.prefix) / "pip.conf", Path(sys.base_prefix) / "pip.conf"]
    files += [Path(os.environ["PIP_CONFIG_FILE"])] if "PIP_CONFIG_FILE" in os.environ else []
    values = [value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_")) and "://" in value]
    for path in files:
        if path.is_file() and os.access(path, os.R_OK):
            parser = configparser.RawConfigParser()
            parser.read(path, "utf-8")
            values += [value for section in parser.sections() for _, value in parser.items(section)]
    return "\n".join(values)


def test_the_reader_of_host_names_finds_them() -> None:
    text = (
        "deb [signed-by=/x] http://mirror.example.org/debian x main\nhttps://user:secret@pip.example.com:8080/simple\n"
    )
    assert _host_names(text) == {"mirror.example.org", "pip.example.com"}
    assert _host_names("http://127.0.0.1:8080/ http://localhost/ file:///x mirror+file:/etc/apt/x") == set()


def test_no_file_names_a_host_that_packages_come_from() -> None:
    """The repository must build on any machine, with any package host.

    Where packages come from is the business of each machine.
    """
    hosts = _host_names(_apt_sources()) | _host_names(_pip_settings())
    if not hosts:
        pytest.skip("this machine's apt and pip name no host")
    wrong = [
        str(path.relative_to(ROOT))
        for path in _repository()
        if any(host.encode("ascii") in path.read_bytes().lower() for host in hosts)
    ]
    assert not wrong


def test_no_file_names_the_place_of_this_checkout() -> None:
    if len(ROOT.parts) < 3:
        pytest.skip("the checkout lies in a directory that any file may name")
    here = re.compile(re.escape(os.fsencode(ROOT)) + rb"(?![\w-])")
    assert not [str(path.relative_to(ROOT)) for path in _repository() if here.search(path.read_bytes())]


def test_this_test_names_none_itself() -> None:
    source = inspect.getsource(sys.modules[__name__])
    assert set(re.findall(r"https?://([\w.:@-]+)", source)) <= {
        "mirror.example.org",
        "user:secret@pip.example.com:8080",
        "127.0.0.1:8080",
        "localhost",
    }


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"])
def test_a_page_names_only_files_that_exist(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    named = re.findall(r"`((?:torrentnet|tests|bench|docs|scripts|scenarios)/[\w./-]*)`", text)
    named += [link for link in re.findall(r"\]\(([\w./-]+)\)", text) if ":" not in link]
    assert named
    assert not [path for path in named if not (ROOT / path).exists()]


@pytest.mark.parametrize(
    ("parallel", "alone", "ran", "passes"),
    [
        (0, 0, "parallel alone", True),
        (1, 0, "parallel alone", False),
        (0, 1, "parallel alone", False),
        (2, 0, "parallel", False),  # interrupted
        (5, 0, "parallel alone", True),  # 5: args chose none of these tests
        (0, 5, "parallel alone", True),
        (5, 5, "parallel alone", False),
        (1, 5, "parallel alone", False),
    ],
)
def test_make_test_runs_both_parts_and_fails_if_one_fails(
    parallel: int, alone: int, ran: str, passes: bool, tmp_path: Path
) -> None:
    if not shutil.which("make"):
        pytest.skip("no make")
    pytest_stub = tmp_path / "pytest"
    pytest_stub.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *"not alone"*) echo parallel >>{tmp_path}/ran; exit {parallel};; '
        f"*) echo alone >>{tmp_path}/ran; exit {alone};; esac\n"
    )
    pytest_stub.chmod(0o755)
    done = subprocess.run(
        ["make", "-C", str(ROOT), "-o", "lint", "-o", "try-browser", "test", f"PYTEST={pytest_stub}"],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (tmp_path / "ran").read_text().split() == ran.split()
    assert (done.returncode == 0) == passes


def test_a_checkout_has_unix_lines_whatever_git_is_set_to(tmp_path: Path) -> None:
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    clone = ["git", "-c", "core.autocrlf=true", "-c", "core.eol=crlf", "clone", "--quiet", "--no-hardlinks"]
    subprocess.run([*clone, str(ROOT), str(tmp_path / "clone")], check=True, timeout=60, capture_output=True)
    # Rules that are not committed yet count, too.
    shutil.copy(ROOT / ".gitattributes", tmp_path / "clone")
    again = "rm -rf -- * && git -c core.autocrlf=true -c core.eol=crlf checkout --quiet -- . && git diff --stat"
    done = subprocess.run(["sh", "-c", again], cwd=tmp_path / "clone", check=True, timeout=60, capture_output=True)
    text = [path for path in (tmp_path / "clone").rglob("*") if path.is_file() and ".git" not in path.parts]
    assert len(text) > 100
    assert not [str(path) for path in text if b"\r\n" in path.read_bytes() and path.suffix not in {".png"}]
    assert not re.search(rb"^ (?!\.gitattributes)", done.stdout, re.MULTILINE)


def test_the_scenario_of_the_pictures_and_its_pictures_are_there() -> None:
    """Each picture of a page exists in light and in dark."""
    plan = load_plan(ROOT / "docs/pictures/islands.yaml")
    assert plan.name == "islands"
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    named = [page.parent / path for page in pages for path in re.findall(r'(?:src|srcset)="([^"]+)"', page.read_text())]
    assert named
    assert not [str(path) for path in named if not path.is_file()]
    assert len([path for path in named if "light" in path.name]) == len([path for path in named if "dark" in path.name])
