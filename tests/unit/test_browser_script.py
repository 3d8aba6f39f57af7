"""Which browser the tests of the pages use, and what is said without one."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from scripts.chromium import SCRIPT, NoBrowserError, find_chromium

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT = 60
TOOLS = ("awk", "bash", "cat", "env", "grep", "head", "mktemp", "readlink", "rm", "tail")
CANDIDATE = "#!/bin/sh\necho '  Candidate: 156.0-1'\n"
NO_CANDIDATE = "#!/bin/sh\necho '  Candidate: (none)'\n"
SNAP = "#!/bin/sh\necho 'requires the chromium snap: snap install chromium' >&2\nexit 1\n"
NOWHERE = "browser: error: there is no Chromium on this machine\n         install it: make browser\n"


class Machine:
    """A machine that has the programs of one directory, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for tool in TOOLS:
            where = shutil.which(tool)
            assert where
            (folder / tool).symlink_to(where)
        self.put("id", "#!/bin/sh\necho 0\n")

    def put(self, name: str, text: str = "#!/bin/sh\n") -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name != "TORRENTNET_CHROMIUM"}
        return {**kept, "PATH": str(self.folder)}

    def call(self, *words: str, **environment: str) -> tuple[int, str]:
        """Run the script; return its exit status and all that it printed."""
        done = subprocess.run(
            [self.folder / "bash", SCRIPT, *words],
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=TIMEOUT,
            stdin=subprocess.DEVNULL,
        )
        return done.returncode, done.stdout


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    folder = tmp_path / "bin"
    folder.mkdir()
    return Machine(folder)


def test_a_browser_that_is_there_is_found_and_left_alone(machine: Machine) -> None:
    chrome = machine.put("google-chrome")
    assert machine.call("--find") == (0, f"{chrome}\n")
    chromium = machine.put("chromium")
    assert machine.call("--find") == (0, f"{chromium}\n")
    assert machine.call() == (0, f"browser: ready, nothing to do: {chromium}\n")
    assert machine.call("--try") == (0, "")


def test_a_browser_that_is_a_snap_is_not_taken(machine: Machine) -> None:
    machine.put("chromium-browser", SNAP)
    assert machine.call("--find") == (1, NOWHERE)


def test_the_environment_names_another_browser(machine: Machine) -> None:
    mine = machine.put("my-browser")
    assert machine.call("--find", TORRENTNET_CHROMIUM=str(mine)) == (0, f"{mine}\n")
    for words in (["--find"], []):
        status, text = machine.call(*words, TORRENTNET_CHROMIUM="/nowhere")
        assert status == 1
        assert text == (
            "browser: error: TORRENTNET_CHROMIUM is /nowhere, which is no program\n"
            "         let it name Chromium's program, or: unset TORRENTNET_CHROMIUM\n"
        )


def test_a_machine_without_a_browser_or_a_package_of_it_says_what_to_do(machine: Machine) -> None:
    assert machine.call() == (
        1,
        (
            "browser: error: this script installs Chromium on Debian only\n"
            "         install it with this machine's own means\n"
        ),
    )
    machine.put("apt-get")
    machine.put("apt-cache", NO_CANDIDATE)
    assert machine.call() == (
        1,
        (
            "browser: reading the package lists (apt-get update)\n"
            "browser: error: this machine's archive has no package chromium\n"
            "         Ubuntu has it as a snap only, which reads no file below /tmp: install Google Chrome\n"
        ),
    )


def test_the_distributions_package_is_installed(machine: Machine) -> None:
    machine.put("apt-cache", CANDIDATE)
    machine.put("apt-get", '#!/bin/bash\nln -s bash "${0%/*}/chromium"\n')
    (machine.folder / "ln").symlink_to(shutil.which("ln") or "")
    status, text = machine.call("--try")
    assert (status, text) == (
        0,
        (
            "browser: installing chromium (some 100 MB to fetch, a minute or less)\n"
            "browser: to undo: apt-get purge chromium && apt-get autoremove\n"
        ),
    )
    assert machine.call("--find") == (0, f"{machine.folder}/chromium\n")


def test_an_installation_that_fails_fails_no_tests(machine: Machine) -> None:
    machine.put("apt-cache", CANDIDATE)
    machine.put("apt-get", "#!/bin/sh\necho 'no space left'\nexit 100\n")
    failed = (
        "browser: installing chromium (some 100 MB to fetch, a minute or less)\n"
        "no space left\n"  # of the installation, and of the lists that are read anew
        "no space left\n"
        "browser: error: apt-get could not install chromium\n"
        "         its last lines are above; try: apt-get install chromium\n"
    )
    skipped = "browser: no Chromium: the tests of the pages are skipped; make browser installs it\n"
    assert machine.call() == (1, failed)
    assert machine.call("--try") == (0, failed + skipped)


def test_only_root_gets_a_browser_by_itself(machine: Machine) -> None:
    machine.put("id", "#!/bin/sh\necho 1000\n")
    machine.put("apt-cache", CANDIDATE)
    machine.put("apt-get", "#!/bin/sh\nexit 1\n")
    assert machine.call("--try") == (
        0,
        "browser: no Chromium: the tests of the pages are skipped; make browser installs it\n",
    )
    assert machine.call() == (
        1,
        (
            "browser: error: installing Chromium needs root, and there is no sudo here\n"
            "         run as root: scripts/browser.sh\n"
        ),
    )


def test_who_needs_a_browser_is_told_in_one_line(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in machine.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TORRENTNET_CHROMIUM", raising=False)
    with pytest.raises(NoBrowserError, match=r"^there is no Chromium on this machine; install it: make browser$"):
        find_chromium()
    chromium = machine.put("chromium")
    assert find_chromium() == chromium
