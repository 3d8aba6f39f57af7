"""Every command line of the README, for a lab that is up.

A person types these commands with no flag.
"""

from __future__ import annotations

import json
import os
import pty
import re
import secrets
import select
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from bench.rig.network import make_network
from tests.integration.engines import DOCKER, on, on_all
from tests.integration.helpers import END_S, SCENARIOS, Running, command, compose, environment, torrentnet
from torrentnet.lab.engines.docker import cleanup, labels
from torrentnet.lab.engines.docker.labels import owner_labels
from torrentnet.lab.engines.types import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import docker
    from tests.integration.engines import Kind

USERS_ENV = b"MY_OWN=\xe9t\xe9\r\nLAST=no line end"
"""Bytes that are no UTF-8, and that stay as they are."""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, engine: Kind) -> Iterator[Path]:
    """The home of the scenario three_seeders, up."""
    home = tmp_path_factory.mktemp("home")
    (home / ".env").write_bytes(USERS_ENV)
    answer = torrentnet(home, "up", "three_seeders")
    try:
        assert answer.returncode == 0, answer.stdout + answer.stderr
        for hint in engine.hints:
            assert hint in answer.stdout
        assert ("docker compose" in answer.stdout) == (engine is DOCKER)
        yield home
    finally:
        down = torrentnet(home, "down")
    assert down.returncode == 0, down.stdout + down.stderr
    assert (home / ".env").read_bytes() == USERS_ENV
    (home / ".env").unlink()
    assert not engine.left_over(home)


@on(DOCKER)
def test_ps_lists_every_node(up: Path) -> None:
    answer = compose(up, "ps", "--all", "--format", "json")
    rows = [json.loads(line) for line in answer.stdout.splitlines()]
    states = {row["Service"]: row["State"] for row in rows}
    assert states.pop("seeder-1") == "exited"
    assert {"tracker", "seeder-2", "seeder-3", "leecher-1", "leecher-2"} <= set(states)
    assert set(states.values()) == {"running"}


@on(DOCKER)
@pytest.mark.parametrize(("words", "seen"), [("peers", "seeder-2"), ("status", "tracker"), ("help", "file_logs")])
def test_a_consoles_commands_are_commands_of_a_node(up: Path, words: str, seen: str) -> None:
    answer = compose(up, "exec", "-T", "tracker", words)
    assert answer.returncode == 0, answer.stderr
    assert seen in answer.stdout


@on(DOCKER)
def test_logs_of_one_node(up: Path) -> None:
    answer = compose(up, "logs", "--no-log-prefix", "leecher-1")
    assert answer.returncode == 0
    assert " completed file=myfile.txt " in answer.stdout


@on(DOCKER)
def test_logs_can_be_followed(up: Path) -> None:
    with subprocess.Popen(
        ["docker", "compose", "logs", "-f", "leecher-1"],
        cwd=up,
        env=environment(up),
        stdout=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout is not None
        assert any(" completed file=myfile.txt " in line for line in following.stdout)
        following.terminate()


@on(DOCKER)
def test_tracker_request_logs(up: Path) -> None:
    answer = compose(up, "exec", "tracker", "request", "logs")
    assert answer.returncode == 0
    assert "leecher-1" in answer.stdout
    assert "succeeded" in answer.stdout


@on(DOCKER)
def test_tracker_file_logs(up: Path) -> None:
    for words in (["-all"], ["myfile.txt"]):
        answer = compose(up, "exec", "tracker", "file_logs", *words)
        assert answer.returncode == 0
        assert "myfile.txt" in answer.stdout


@on(DOCKER)
def test_tracker_file_logs_of_an_unknown_file(up: Path) -> None:
    answer = compose(up, "exec", "tracker", "file_logs", "nope.txt")
    assert answer.returncode == 1
    assert "nope.txt" in answer.stderr


@on(DOCKER)
def test_peer_request_logs(up: Path) -> None:
    answer = compose(up, "exec", "leecher-1", "request", "logs")
    assert answer.returncode == 0
    assert "seeder-" in answer.stdout


@on(DOCKER)
def test_console_is_a_prompt(up: Path) -> None:
    with _Terminal(["docker", "compose", "exec", "tracker", "console"], up) as terminal:
        terminal.wait("tracker>")
        terminal.type("help\r")
        terminal.wait("request logs")
        terminal.type("file_l\t")
        terminal.wait("file_logs")
        terminal.type("nope.txt\r")
        terminal.wait("nope.txt")
        terminal.type("\x04")
        assert terminal.end() == 0


@on_all
def test_attach_is_the_same(up: Path) -> None:
    with _Terminal(command("attach", "leecher-1"), up) as terminal:
        terminal.wait("leecher-1>")
        terminal.type("status\r")
        terminal.wait("myfile.txt")
        terminal.type("\x04")
        assert terminal.end() == 0


@on_all
def test_attach_with_words(up: Path) -> None:
    answer = torrentnet(up, "attach", "tracker", "file_logs", "-all")
    assert answer.returncode == 0
    assert "myfile.txt" in answer.stdout
    answer = torrentnet(up, "attach", "tracker", "file_logs", "nope.txt")
    assert answer.returncode == 1


@on_all
def test_attach_to_an_unknown_node(up: Path) -> None:
    answer = torrentnet(up, "attach", "leecher-11")
    assert answer.returncode == 2
    assert "did you mean `leecher-1`?" in answer.stderr


@on_all
def test_status(up: Path, engine: Kind) -> None:
    address = r"198\.1[89]\.\d+\.\d+" if engine.isolates else r"127\.\d+\.\d+\.\d+"
    answer = torrentnet(up, "status")
    assert answer.returncode == 0
    assert re.search(rf"tracker +{address} +running", answer.stdout)
    assert re.search(r"seeder-1 .* exited \(137\)", answer.stdout)
    rows = json.loads(torrentnet(up, "status", "--json").stdout)["nodes"]
    assert rows[0]["node"] == "tracker"


@on_all
def test_logs_command(up: Path) -> None:
    answer = torrentnet(up, "logs", "leecher-1")
    assert answer.returncode == 0
    assert " completed file=myfile.txt " in answer.stdout
    # Each line says whose it is; Compose steers the cursor before it.
    assert all("leecher-1" in line.partition("|")[0] for line in answer.stdout.splitlines())


@on_all
def test_logs_command_follows(up: Path) -> None:
    with Running(up, "logs", "--follow", "leecher-1") as following:
        following.wait_line(" completed file=myfile.txt ")
        following.signal(signal.SIGINT)
        assert following.wait() == 130


@on(DOCKER)
def test_down_removes_the_volumes(home: Path, client: docker.DockerClient) -> None:
    assert torrentnet(home, "up", str(SCENARIOS / "quick.yaml")).returncode == 0
    rows = client.api.containers(all=True, filters={"label": f"{labels.HOME}={home}"})
    volumes = {mount["Name"] for row in rows for mount in row["Mounts"] if mount["Type"] == "volume"}
    assert torrentnet(home, "down").returncode == 0
    assert volumes
    assert not volumes & {row["Name"] for row in client.api.volumes()["Volumes"] or []}


@on_all
def test_up_takes_down_what_is_up(home: Path) -> None:
    quick = str(SCENARIOS / "quick.yaml")
    try:
        assert torrentnet(home, "up", quick).returncode == 0
        first = torrentnet(home, "status", "--json").stdout
        again = torrentnet(home, "up", quick)
        assert again.returncode == 0
        assert "quick is up already; taking it down first" in again.stdout
        assert json.loads(first)["project"] != json.loads(torrentnet(home, "status", "--json").stdout)["project"]
    finally:
        assert torrentnet(home, "down").returncode == 0


LINKS = """\
about: A leecher behind a slow link.
files: {a.txt: {size: 64KiB}}
nodes:
  tracker: {tracker: {}}
  seeder: {share: a.txt}
  leecher: {get: a.txt}
links:
  - {to: leecher, rate: 8mbit}
  - {to: leecher, loss: 1%}
expect:
  - {node: leecher, has: a.txt, within: 30s}
"""


@on(DOCKER)
def test_a_node_restarted_by_hand_gets_its_rules_again(home: Path, tmp_path: Path) -> None:
    def rules() -> tuple[bool, bool]:
        """Whether the seeder sends at a rate, and the leecher loses something."""
        root = ("exec", "-T", "--privileged", "--user", "0")
        shaped = compose(home, *root, "seeder", "tc", "qdisc", "show").stdout
        return "htb" in shaped, compose(home, *root, "leecher", "iptables", "-w", "-L", "TORRENTNET").returncode == 0

    (tmp_path / "slow.yaml").write_text(LINKS, encoding="utf-8")
    try:
        answer = torrentnet(home, "up", str(tmp_path / "slow.yaml"))
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert rules() == (True, True)
        assert "by hand" not in torrentnet(home, "status").stdout
        assert compose(home, "restart", "leecher").returncode == 0
        assert rules() == (True, False)
        told = torrentnet(home, "status").stdout
        assert "leecher was started again by hand, without the rules of its links; they are set again" in told
        assert "seeder was started" not in told
        assert rules() == (True, True)
        assert "by hand" not in torrentnet(home, "status").stdout
        with Running(home, "status", "--watch") as watching:
            watching.wait_line("leecher ")
            assert compose(home, "restart", "seeder").returncode == 0
            watching.wait_line("seeder was started again by hand")
            assert rules() == (True, True)
            watching.signal(signal.SIGINT)
            assert watching.wait() == 0
    finally:
        assert torrentnet(home, "down").returncode == 0


def test_down_without_a_lab(home: Path) -> None:
    answer = torrentnet(home, "down")
    assert answer.returncode == 0
    assert "no lab is up here" in answer.stdout


def test_commands_that_need_a_lab(home: Path) -> None:
    for words in (["status"], ["attach", "tracker"], ["logs"]):
        answer = torrentnet(home, *words)
        assert answer.returncode == 2
        assert "no lab is up here" in answer.stderr
        assert "make up scenario=" in answer.stderr


class _Terminal:
    """A command on a terminal of its own, as a person sits at it."""

    def __init__(self, argv: list[str], home: Path) -> None:
        self._main, side = pty.openpty()
        try:
            self._process = subprocess.Popen(
                argv,
                cwd=home,
                env=environment(home, TERM="xterm"),
                stdin=side,
                stdout=side,
                stderr=side,
                start_new_session=True,
            )
        finally:
            os.close(side)
        self._seen = ""

    def __enter__(self) -> _Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._main)

    def type(self, text: str) -> None:
        """Type; what was seen before counts no more."""
        self._seen = ""
        os.write(self._main, text.encode())

    def wait(self, wanted: str) -> None:
        """Wait until ``wanted`` can be read on the screen."""
        deadline = time.monotonic() + END_S
        while wanted not in self._seen:
            ready, _, _ = select.select([self._main], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no {wanted!r} in {self._seen!r}"
            try:
                self._seen += os.read(self._main, 65536).decode("utf-8", "replace")
            except OSError:
                raise AssertionError(f"the command ended; no {wanted!r} in {self._seen!r}") from None

    def end(self) -> int:
        """Wait for the command's end; answers with its status."""
        return self._process.wait(END_S)


@on(DOCKER)
def test_what_the_engine_creates_after_an_interrupt_is_removed(home: Path, client: docker.DockerClient) -> None:
    project = f"torrentnet-cut-off-{secrets.token_hex(3)}"
    marks = {labels.LAB: project, **owner_labels(Mode.RUN, home)}
    late = threading.Timer(0.5, lambda: make_network(client, project, 2, marks))
    late.start()
    cleanup.remove(client, project, unsettled=True)
    late.join()
    assert not cleanup.find(client, f"{labels.LAB}={project}")
