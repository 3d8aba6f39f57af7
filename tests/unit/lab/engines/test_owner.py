"""An owner is alive or dead, even where its process id was used again."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from torrentnet.lab.engines.owner import Owner, boot_id, is_alive, parse_start_time, process_start_time


def test_an_owner_round_trips() -> None:
    me = Owner.myself()
    assert Owner.parse(str(me)) == me
    assert me.pid == os.getpid()
    assert me.boot == boot_id()


@pytest.mark.parametrize(
    "text", ["", ":", "::", "boot", "boot:1", "boot:x:1", "boot:1:", ":1:2", "boot:1:2:3", "boot:²:3"]
)
def test_other_texts_are_no_owner(text: str) -> None:
    assert Owner.parse(text) is None


def test_this_process_is_alive() -> None:
    assert is_alive(Owner.myself())


def test_an_ended_process_is_not_alive() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        owner = Owner(boot_id(), child.pid, process_start_time(child.pid) or "")
        assert is_alive(owner)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        # It has ended, and nobody has waited for it yet.
        assert not is_alive(owner)
    assert not is_alive(owner)


def test_a_reused_pid_is_another_owner() -> None:
    me = Owner.myself()
    assert not is_alive(Owner(me.boot, me.pid, "1"))


def test_an_owner_of_another_boot_is_not_alive() -> None:
    me = Owner.myself()
    assert not is_alive(Owner("another", me.pid, me.started))


STAT = "{pid} ({name}) {state} 1 2 3 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 987654 8000000 200"


@pytest.mark.parametrize("name", ["python3", "a b", "evil) R 1 2 3", "((", ")"])
def test_any_process_name_is_skipped(name: str) -> None:
    assert parse_start_time(STAT.format(pid=7, name=name, state="S")) == "987654"


@pytest.mark.parametrize("state", ["Z", "X"])
def test_a_zombie_is_not_alive(state: str) -> None:
    assert parse_start_time(STAT.format(pid=7, name="python3", state=state)) is None


@pytest.mark.parametrize("text", ["", "7", "7 (x", "7 (x) S 1 2"])
def test_a_malformed_stat_has_no_start_time(text: str) -> None:
    assert parse_start_time(text) is None
