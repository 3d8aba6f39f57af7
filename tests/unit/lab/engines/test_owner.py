"""An owner is alive, dead or not known, even where its process id was used again."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.users import as_user, needs_root
from torrentnet.lab.engines import owner
from torrentnet.lab.engines.owner import Life, Owner, boot_id, life_of, parse_start_time

if TYPE_CHECKING:
    from pathlib import Path

GOOD = "m:b:4026531836:1000:7:99"
BAD = [
    ":b:n:1000:7:99",
    "m:b:n:x:7:99",
    "m:b:n:1:\u00b2:9",
    "m:b:n:1000:0:99",
    "m:b:n:1000:-1:99",
    "m:b:n:1000:99999999999:99",
]


def test_an_owner_round_trips() -> None:
    me = Owner.myself()
    assert Owner.parse(str(me)) == me
    assert me.pid == os.getpid()
    assert me.boot == boot_id()
    assert me.mine
    assert not replace(me, user=me.user + 1).mine


@pytest.mark.parametrize(
    "text",
    ["", ":::::", "boot:1:2", GOOD + ":1", GOOD[:-3], *BAD],
)
def test_other_texts_are_no_owner(text: str) -> None:
    assert Owner.parse(GOOD) is not None
    assert Owner.parse(text) is None


def test_this_process_is_alive() -> None:
    assert life_of(Owner.myself()) is Life.ALIVE


def test_an_ended_process_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = Owner.of(child.pid)
        assert life_of(process) is Life.ALIVE
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        # It has ended, and nobody has waited for it yet.
        assert life_of(process) is Life.DEAD
    assert life_of(process) is Life.DEAD


def test_a_reused_pid_is_another_owner() -> None:
    assert life_of(replace(Owner.myself(), started="1")) is Life.DEAD


def test_an_owner_of_an_earlier_boot_is_dead() -> None:
    assert life_of(replace(Owner.myself(), boot="another")) is Life.DEAD


@pytest.mark.parametrize("elsewhere", [{"machine": "another"}, {"namespace": "1"}, {"boot": "unknown"}])
@pytest.mark.parametrize("started", ["1", None])
def test_an_owner_elsewhere_is_not_known(elsewhere: dict[str, str], started: str | None) -> None:
    me = Owner.myself()
    there = replace(me, started=started or me.started, **elsewhere)  # type: ignore[arg-type]
    assert life_of(there) is Life.UNKNOWN


def test_a_new_name_makes_no_other_machine() -> None:
    renamed = replace(Owner.myself(), machine="another")
    assert renamed.here
    assert not replace(renamed, boot="another").here
    assert not replace(renamed, namespace="1").here
    # A copy of this machine has the same boot: nothing is removed unasked.
    assert life_of(renamed) is Life.UNKNOWN


def test_without_a_machine_id_another_boot_may_be_another_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(owner, "MACHINE_ID", tmp_path / "machine-id")
    me = Owner.myself()
    assert life_of(me) is Life.ALIVE
    assert life_of(replace(me, boot="another")) is Life.UNKNOWN


def test_a_process_that_proc_hides_is_not_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = Owner.of(child.pid)
        hidden = tmp_path / "proc"
        (hidden / "self").mkdir(parents=True)
        (hidden / "self" / "stat").touch()
        monkeypatch.setattr(owner, "PROC", hidden)
        assert life_of(process) is Life.UNKNOWN
        child.kill()
    assert life_of(process) is Life.DEAD


@needs_root
def test_another_users_process_is_seen_or_not_known() -> None:
    me = Owner.myself()
    with as_user(34567):
        assert life_of(me) is not Life.DEAD


MOUNT = 'mount -t proc -o hidepid=2 proc /proc && exec "$0" "$@"'
MOUNTED = ("unshare", "--mount", "--propagation", "private", "sh", "-c", MOUNT)
HIDING = """
import os, sys
from torrentnet.lab.engines.owner import Owner, life_of
process = Owner.parse(sys.argv[1])
life_of(process)  # imports what the other user may not read
os.setgroups([])
os.setresgid(34567, 34567, 34567)
os.setresuid(34567, 34567, 34567)
print(life_of(process))
"""


@needs_root
@pytest.mark.parametrize(("ended", "life"), [(False, "unknown"), (True, "dead")])
def test_a_process_behind_hidepid_is_not_known(ended: bool, life: str) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = Owner.of(child.pid)
        if ended:
            child.kill()
            child.wait()
        hidden = subprocess.run(
            [*MOUNTED, sys.executable, "-c", HIDING, str(process)],
            capture_output=True,
            text=True,
            check=False,
        )
        child.kill()
    if "mount" in hidden.stderr or "unshare" in hidden.stderr:
        pytest.skip(f"this machine mounts no /proc with hidepid: {hidden.stderr.strip()}")
    assert (hidden.stdout, hidden.stderr) == (f"{life}\n", "")


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
