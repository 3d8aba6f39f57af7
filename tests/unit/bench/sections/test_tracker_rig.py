"""The load generator of the tracker's benchmark.

Its tracker runs in the process of the test.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from bench.sections.tracker_rig import build_load, opentracker_whitelist
from tests.unit.tracker.world import World
from torrentnet.tracker.server import TrackerServer, bind
from torrentnet.tracker.settings import TrackerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
SWARMS, PEERS = 3, 60


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("load")
    build_load(directory)
    return directory / "load"


@pytest.fixture
def served() -> Iterator[tuple[World, int]]:
    world = World(settings=TrackerSettings(5.0, 600.0), now=time.monotonic())
    sock = bind("127.0.0.1", 0)
    server = TrackerServer(sock, world.core, pytest.fail)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield world, sock.getsockname()[1]
    server.stop("test")
    thread.join(10)
    server.close()


def shoot(load: Path, port: int, *words: str) -> dict[str, Any]:
    common = ["--host", "127.0.0.1", "--from", "127.0.0.1", "--sources", "4", "--seconds", "0.2", "--port", str(port)]
    shape = ["--peers", str(PEERS), "--swarms", str(SWARMS), "--want", "50", "--window", "16"]
    done = subprocess.run([load, *common, *shape, *words], capture_output=True, text=True, check=True, timeout=60)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_peers_announce_themselves_and_every_answer_is_good(load: Path, served: tuple[World, int]) -> None:
    world, port = served
    shot = shoot(load, port)
    assert shot["fill_answered"] == PEERS
    assert shot["answered"] > 0
    assert [shot[what] for what in ("fill_bad", "lost", "wrong", "errors", "late")] == [0] * 5
    assert shot["listed"] == PEERS / SWARMS - 1
    members = list(world.core.registry.members())
    assert len(members) == PEERS
    assert {one.endpoint.ip for one in members} == {f"127.0.0.{number}" for number in range(1, 5)}
    assert sum(one.complete for one in members) == PEERS / 2
    assert b"".join(b"%s\n" % one.hex().encode() for one in world.core.registry.by_hash) == opentracker_whitelist(
        SWARMS
    )


@pytest.mark.parametrize("kind", ["lookup", "request"])
def test_leechers_look_files_up(load: Path, served: tuple[World, int], kind: str) -> None:
    world, port = served
    shot = shoot(load, port, "--kind", kind, "--named", "1")
    assert shot["answered"] > 0
    assert [shot[what] for what in ("fill_bad", "lost", "wrong", "errors", "late")] == [0] * 5
    asked = {str(seen.fields["file"]) for seen in world.events if seen.event == "request"}
    assert asked == {f"file-{number:05}.bin" for number in range(SWARMS)}
    succeeded = sum(seen.event == "outcome" and seen.fields["result"] == "succeeded" for seen in world.events)
    assert (succeeded > 0) == (kind == "request")


def test_nobody_there_is_told(load: Path) -> None:
    with bind("127.0.0.1", 0) as silent, pytest.raises(subprocess.CalledProcessError) as caught:
        shoot(load, silent.getsockname()[1])
    assert caught.value.stderr == "load: the tracker does not answer a connect\n"


def test_words_that_make_no_sense_are_refused(load: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        shoot(load, 1, "--peers", "many")
    assert caught.value.returncode == 2
    assert caught.value.stderr == "load: many is no number up to 4000000\n"
