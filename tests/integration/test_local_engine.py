"""The engine local: its choice, its refusals, and the end of its processes.

No process outlives a lab or the lab's supervisor.

What all engines have in common is tested in the other modules, whose tests run on every engine.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.engines import LOCAL, LOOPBACK, NOWHERE, Kind, on
from tests.integration.helpers import SCENARIOS, Running, torrentnet, wait
from torrentnet.lab.engines.local import registry
from torrentnet.lab.engines.owner import Owner, is_alive
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from torrentnet.lab.api import Lab

each = on(LOCAL, LOOPBACK)
LONG, QUICK = str(SCENARIOS / "long.yaml"), str(SCENARIOS / "quick.yaml")
END_S = 60.0
AT_ONCE_S = 2.0
"""How soon the kernel must have ended the processes whose parent has ended."""


def processes(home: Path) -> dict[Owner, str]:
    """Return the supervisors of a home's labs and all processes they have started.

    Each process is returned with its command line.
    """
    found: dict[Owner, str] = {}
    for entry in registry.labs():
        if entry.lab is not None and Path(entry.lab.home) == home and (supervisor := entry.supervisor) is not None:
            for pid in [supervisor.pid, *_below(supervisor.pid)]:
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    line = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").replace("\0", " ")
                    found[Owner.of(pid)] = line
    return found


def _below(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except (FileNotFoundError, ProcessLookupError):
        # The process was a command in a node, and has ended meanwhile.
        return []
    return [one for child in map(int, children) for one in (child, *_below(child))]


# -- which engine ----------------------------------------------------------------------------------


@on(LOCAL)
def test_without_docker_the_engine_is_local(home: Path) -> None:
    answer = torrentnet(home, "run", QUICK, TORRENTNET_ENGINE="auto")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    reason = f"no Docker Engine answers at {NOWHERE} (DOCKER_HOST): No such file or directory"
    assert f"engine: local ({reason})" in answer.stdout


@on(LOCAL)
def test_an_explicit_docker_is_not_replaced(home: Path) -> None:
    for answer in (
        torrentnet(home, "run", QUICK, TORRENTNET_ENGINE="docker"),
        torrentnet(home, "run", QUICK, "--engine", "docker"),
    ):
        assert answer.returncode == 3
        assert f"no Docker Engine answers at {NOWHERE}" in answer.stderr


@on(LOCAL)
def test_doctor_shows_both_engines(home: Path) -> None:
    answer = torrentnet(home, "doctor", TORRENTNET_ENGINE="auto")
    assert answer.returncode == 0, answer.stdout
    assert "local: no Docker Engine answers" in answer.stdout
    assert "local: network" in answer.stdout
    assert "Docker Engine: only for the other engine: start that engine, or: unset DOCKER_HOST" in answer.stdout


# -- nothing outlives a lab ------------------------------------------------------------------------


@each
@pytest.mark.parametrize("mode", ["run", "up"])
def test_ctrl_c_ends_every_process(home: Path, mode: str) -> None:
    with Running(home, mode, LONG) as lab:
        lab.wait_line("start leecher-1")
        mine = processes(home)
        assert sum("peer.py" in line for line in mine.values()) >= 2
        lab.signal(signal.SIGINT)
        assert lab.wait() == 130, lab.text
    assert not [line for owner, line in mine.items() if is_alive(owner)]


@each
@pytest.mark.parametrize("mode", ["run", "up"])
def test_kill_9_of_the_lab_ends_the_nodes_at_once(home: Path, mode: str, engine: Kind) -> None:
    with Running(home, mode, LONG) as lab:
        lab.wait_line("completed myfile.txt")
        mine = processes(home)
        assert sum("peer.py" in line for line in mine.values()) == 4
        lab.signal(signal.SIGKILL)
        assert lab.wait() == -signal.SIGKILL
    assert wait(lambda: not any(map(is_alive, mine)), AT_ONCE_S), [
        line for owner, line in mine.items() if is_alive(owner)
    ]
    assert engine.left_over(home)
    answer = torrentnet(home, "run", QUICK)
    assert answer.returncode == 0, answer.stdout
    assert "removed what torrentnet-long-" in answer.stdout


@each
def test_nodes_live_and_die_with_their_supervisor(home: Path) -> None:
    assert torrentnet(home, "up", QUICK).returncode == 0
    mine = processes(home)
    supervisor = next(entry.supervisor for entry in registry.labs() if entry.lab and Path(entry.lab.home) == home)
    assert supervisor is not None
    assert len(mine) >= 4
    assert all(map(is_alive, mine))
    os.kill(supervisor.pid, signal.SIGKILL)
    assert wait(lambda: not any(map(is_alive, mine)), AT_ONCE_S), [
        line for owner, line in mine.items() if is_alive(owner)
    ]
    answer = torrentnet(home, "status")
    assert answer.returncode == 3
    assert "is gone: its nodes ended with their supervisor" in answer.stderr
    assert torrentnet(home, "down").returncode == 0


@each
def test_a_command_that_runs_in_a_node_ends_with_it(small: Lab) -> None:
    done = threading.Thread(target=lambda: small.exec("other", "sleep", "300", timeout=60))
    done.start()
    assert wait(lambda: any(line.startswith("sleep 300") for line in processes(small.home).values()))
    sleeper = next(owner for owner, line in processes(small.home).items() if line.startswith("sleep 300"))
    small.kill("other")
    done.join(END_S)
    assert wait(lambda: not is_alive(sleeper), AT_ONCE_S)


# -- nodes -----------------------------------------------------------------------------------------


@each
def test_commands_in_a_node(small: Lab) -> None:
    assert small.console("tracker", "file_logs myfile.txt").output
    assert small.exec("tracker", "file_logs", "-all").status == 0
    assert small.exec("tracker", "request", "logs").status == 0
    assert small.exec("seeder-1", "console", "--ping").status == 0
    assert small.exec("seeder-1", "sh", "-c", "echo out; echo err >&2; exit 7").output == "out\nerr"
    assert small.exec("seeder-1", "sh", "-c", "kill -9 $$").status == 137
    assert small.exec("seeder-1", "python3", "-c", "print('x' * 300000)").stdout == "x" * 300000 + "\n"
    location = small.engine.locations["leecher-1"]
    assert small.exec("seeder-1", "sha256sum", f"{location.files}/myfile.txt").status == 0
    with pytest.raises(EngineError, match=r"`sleep 60` did not end within 0.3 s"):
        small.exec("seeder-1", "sleep", "60", timeout=0.3)
    with pytest.raises(EngineError, match="No such file"):
        small.exec("seeder-1", "no-such-command")
    assert not any(line.startswith("sleep 60") for line in processes(small.home).values())


# -- what is refused -------------------------------------------------------------------------------


@on(LOOPBACK)
@pytest.mark.parametrize(
    ("scenario", "refusal"),
    [
        ("partition_heals", "this engine does not support cut: the nodes are processes on the loopback interface"),
        ("full_disk", "this engine does not support a disk of limited size, which cramped needs"),
    ],
)
def test_a_quality_that_loopback_lacks_is_refused_by_name(home: Path, scenario: str, refusal: str) -> None:
    answer = torrentnet(home, "run", scenario)
    assert answer.returncode == 3
    assert refusal in answer.stdout


@on(LOOPBACK)
def test_bytes_of_a_shared_interface_are_refused(home: Path) -> None:
    scenario = home / "runs" / "counted.yaml"
    scenario.parent.mkdir()
    text = Path(QUICK).read_text(encoding="utf-8")
    scenario.write_text(
        f"{text}  - {{node: leecher, bytes: {{received: at least 64KiB}}, within: 10s}}\n", encoding="utf-8"
    )
    answer = torrentnet(home, "run", str(scenario))
    assert answer.returncode == 3
    assert "this engine cannot count the bytes of a node" in answer.stdout
    assert "the nodes share the loopback interface" in answer.stdout
