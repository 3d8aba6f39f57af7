"""Programs in networks of their own are watched while they move a file.

The programs were told 127.0.0.1, as in an assignment, and know nothing of the lab.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.submissions.catalogue import ALL
from tests.unit.adapters.observer.namespaces import Namespaces, missing
from tests.unit.adapters.observer.observed import Observer, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

PORTS = {"tracker": 6771, "s1": 6881, "s2": 6882, "l1": 6883}
TRACKER = "127.0.0.1:6771"
FILE = "my file.bin"
SIZE = 3_000_017
DATA = random.Random(5).randbytes(SIZE)
WANTED = ("--file", FILE, "--size", str(SIZE), "--sha256", hashlib.sha256(DATA).hexdigest())
USER = "10001:10001"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for networks of its own"),
    pytest.mark.skipif(bool(missing()), reason=f"needs the command {missing()}"),
]


class Swarm:
    """A tracker, two seeds and a leecher of one submission."""

    def __init__(self, directory: Path, namespaces: Namespaces, submission: str) -> None:
        self._directory = directory
        self._namespaces = namespaces
        self.addresses = namespaces.addresses
        ALL[submission].write(directory / "program")
        (directory / "shared").write_bytes(DATA)
        self.running: list[Observer] = []

    def start(self, name: str, role: str) -> Observer:
        """Start a node."""
        told = f"127.0.0.1:{PORTS[name]}"
        argv = ["tracker.py", TRACKER] if role == "tracker" else ["peer.py", role, FILE, TRACKER, told]
        options = ["--listen", told, "--tracker", TRACKER, "--user", USER, "--datagrams", *WANTED]
        share = ["--share", self._directory / "shared"] if role == "share" else []
        place = self._directory / name
        place.mkdir(mode=0o755)
        observer = Observer(
            place,
            role,
            *options,
            *share,
            *("--program", self._directory / "program", *self._namespaces.node_options()),
            argv=["python3", *argv],
            prefix=self._namespaces.prefix(name),
            name=name,
        )
        self.running.append(observer)
        return observer


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="torrentnet-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("submission", ["plain", "binary_wire", "child_process"])
def test_a_transfer_is_seen_from_outside(submission: str, directory: Path) -> None:
    with Namespaces(PORTS) as namespaces:
        swarm = Swarm(directory, namespaces, submission)
        try:
            tracker = swarm.start("tracker", "tracker")
            assert tracker.until("listening")["address"] == TRACKER
            seeds = [swarm.start(name, "share") for name in ("s1", "s2")]
            for seed in seeds:
                seed.until("published")
            leecher = swarm.start("l1", "get")
            leecher.until("state", state="seed")
            completed = leecher.until("completed")
            # The source is the address of a node, and each side counts the same bytes.
            source, _, size = completed["sources"].partition(":")
            number = next(name for name, address in swarm.addresses.items() if address == source)
            assert number in {"s1", "s2"}
            assert SIZE <= int(size) < SIZE * 1.01
            assert completed["bytes"] == size
            seed = seeds[number == "s2"]
            leecher.until("pair", peer=source, received=size)
            seed.until("pair", peer=swarm.addresses["l1"], sent=size)
            for own, far in ((leecher, source), (seed, swarm.addresses["l1"])):
                sums = {row["peer"]: row for row in map(json.loads, own.ask("observer", "pairs").splitlines())}
                assert set(sums) == {far}
                assert sums[far]["received" if own is leecher else "sent"] == int(size)
            assert leecher.until("dialled", address=f"{source}:{PORTS[number]}", peer=number)
            # The tracker's answer has all seeds, and the size.
            assert wait_until(
                lambda: any(
                    {"s1", "s2"} <= set(event.fields["nodes"].split(","))
                    for event in leecher.named("sighted", direction="in", size="true")
                )
            )
            assert tracker.until("sighted", direction="in", file="true", nodes="l1")
            assert leecher.named("progress")[-1].fields["have"] == "100"
            check_probes(leecher)
        finally:
            for observer in reversed(swarm.running):
                observer.end()


def check_probes(leecher: Observer) -> None:
    """Replay the leecher's words, and send garbage; neither counts as its own."""
    before = leecher.ask("observer", "pairs"), len(leecher.named("sighted"))
    for name, served in ((FILE, True), ("../secret", False)):
        answer = json.loads(leecher.ask("observer", "replay", name, "s1").splitlines()[-1])
        assert (answer["bytes"] > 1000) is served
    assert json.loads(leecher.ask("observer", "replay", "other", "tracker").splitlines()[0])["bytes"] > 0
    assert json.loads(leecher.ask("observer", "send", "garbage", "tracker", "6"))["datagrams"] == 6
    sent = [json.loads(line) for line in leecher.ask("observer", "datagrams").splitlines()]
    assert all(one["from"].startswith("198.18.") and bytes.fromhex(one["hex"]) for one in sent)
    assert leecher.ask("observer", "pairs") == before[0]


def test_machines_without_privileges_say_what_they_do_not_see(tmp_path: Path) -> None:
    assert shutil.which("setpriv")
    prefix = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"]
    with Observer(tmp_path, "run", "--datagrams", code="input()", prefix=prefix) as observer:
        assert observer.until("blind")["reason"] == "datagrams are not seen: operation not permitted"
        error: list[str] = []
        assert observer.console.run("observer datagrams", error.append, error.append) == 3
        assert error == ["error: datagrams are not captured in this node\n"]
        assert observer.console.run("observer replay x 127.0.0.1:9", error.append, error.append) == 3
