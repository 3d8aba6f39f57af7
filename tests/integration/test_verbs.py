"""The verbs of a lab on real nodes.

Each verb has the effect it promises, and each event that follows is seen once.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.engines import on_all
from torrentnet.lab.engines.types import NodeStatus, NothingChangedError
from torrentnet.lab.errors import EngineError, UsageError
from torrentnet.lab.run.node_verbs import WaitTimeoutError

if TYPE_CHECKING:
    from tests.integration.engines import Kind
    from torrentnet.lab.api import Lab

pytestmark = on_all


def test_a_started_leecher_gets_the_file(small: Lab) -> None:
    small.start("leecher-1")
    small.wait_event("leecher-1", "completed", file="myfile.txt")
    small.wait_event("leecher-1", "state", state="seed")
    assert small.sha256("leecher-1") == small.hashes["myfile.txt"]
    assert "leecher-1" in small.console("tracker", "file_logs myfile.txt").output


def test_a_file_with_a_blank_in_its_name(small: Lab) -> None:
    small.start("reader")
    small.wait_event("reader", "completed", file="two words.bin")
    assert small.sha256("reader") == small.hashes["two words.bin"]
    assert "reader" in small.console("tracker", 'file_logs "two words.bin"').output


def test_a_command_fails_with_its_status_and_words(small: Lab) -> None:
    answer = small.console("tracker", "file_logs nope.txt")
    assert answer.status == 1
    assert answer.stdout == ""
    assert "nope.txt" in answer.stderr


def test_a_node_reaches_another_by_its_name(small: Lab, engine: Kind) -> None:
    if not engine.isolates:
        pytest.skip("on the loopback interface, nodes have the machine's own /etc/hosts")
    program = "import socket; print(socket.create_connection(('seeder-1', 6881), 10).getpeername()[0])"
    answer = small.exec("tracker", "python3", "-c", program, timeout=60.0)
    assert answer.output == small.engine.locations["seeder-1"].address
    own = small.exec("tracker", "python3", "-c", "import socket; print(socket.gethostbyname(socket.gethostname()))")
    assert own.output == small.engine.locations["tracker"].address


def test_kill_is_silent_and_stop_leaves_the_swarm(small: Lab) -> None:
    began = time.time()
    small.kill("seeder-1")
    forgotten = small.wait_event("tracker", "forgotten", since=began, peer="seeder-1")
    assert (forgotten.number("silent_ms") or 0) >= 1500
    assert small.state("seeder-1").exit_code == 137
    began = time.time()
    small.stop("seeder-2")
    left = small.wait_event("tracker", "left", since=began, peer="seeder-2")
    assert left.time - began < 1.5
    assert small.state("seeder-2").exit_code == 0
    small.restart("seeder-1", "seeder-2")
    for node in ("seeder-1", "seeder-2"):
        small.wait_event("tracker", "published", since=began, peer=node)


def test_a_paused_node_is_forgotten_and_rejoins(small: Lab) -> None:
    began = time.time()
    with small.pause("other"):
        assert small.state("other").status is NodeStatus.PAUSED
        small.wait_event("tracker", "forgotten", since=began, peer="other")
    assert small.state("other").status is NodeStatus.RUNNING
    resumed = time.time()
    small.wait_until(
        lambda: "other" in small.console("tracker", "peers").output, what="the tracker knows `other` again"
    )
    assert time.time() - resumed < 15


def test_a_log_is_read_once_across_restarts(small: Lab) -> None:
    small.wait_until(lambda: small.state("seeder-2").status is NodeStatus.RUNNING, what="seeder-2 runs")
    for _ in range(3):
        began = time.time()
        small.restart("seeder-2")
        small.wait_event("seeder-2", "published", since=began)
    listening = small.nodes.events("seeder-2", "listening")
    assert len({event.time for event in listening}) == len(listening) >= 4

    def logged() -> int:
        return (small.directory / "logs/seeder-2.log").read_text(encoding="utf-8").count(" listening ")

    # The record is written beside the lab.
    small.wait_until(lambda: logged() >= len(listening), what="the record has the last line")
    assert logged() == len(listening)


def test_verbs_without_effect_raise(small: Lab) -> None:
    with pytest.raises(NothingChangedError, match="start tracker changed nothing: the node is running"):
        small.start("tracker")
    with pytest.raises(NothingChangedError, match="resume tracker changed nothing: the node is running"):
        small.resume("tracker")
    with pytest.raises(NothingChangedError, match="kill leecher-2 changed nothing: the node is created"):
        small.kill("leecher-2")


def test_a_hanging_command_times_out(small: Lab) -> None:
    with pytest.raises(EngineError, match=r"did not end within 0\.5 s"):
        small.exec("tracker", "sleep", "30", timeout=0.5)


def test_unknown_names_are_errors(small: Lab) -> None:
    with pytest.raises(UsageError, match="there is no node and no group `leecher-9`"):
        small.kill("leecher-9")
    assert small.select("leecher", "tracker") == ("leecher-1", "leecher-2", "tracker")


def test_a_wait_that_times_out_shows_the_last_lines(small: Lab) -> None:
    with pytest.raises(
        WaitTimeoutError, match=r"(?s)seeder-2 prints tracker_silent.*the last lines of seeder-2:.*state=seed"
    ):
        small.wait_event("seeder-2", "tracker_silent", timeout=0.2)
