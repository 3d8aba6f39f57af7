"""The exact error messages of peer.py, with their exit status."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from bench.rig.watched_process import DEADLINE_S
from tests.loopback.programs import ANYWHERE, PEER, make_file
from torrentnet.runtime.units import RATE_UNITS
from torrentnet.wire.info import make_info
from torrentnet.wire.metainfo import torrent_with_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.loopback.programs import Loopback

NOBODY = 65_534
NOWHERE = "127.0.0.1:9"
"""A tracker address that does not answer: the errors are found before the tracker matters."""
LONG = "x" * 256


class Case(NamedTuple):
    """A command line in the directory of :func:`place`, with its error."""

    id: str
    words: str
    """Arguments; ``{port}`` is a port in use."""
    status: int
    text: str


USAGE = "(try peer.py --help)"
DURATION_UNITS = "the units of a duration are `ms`, `s`, `m`, `h`"
SIZE_UNITS = "the units of a size are `B`, `KiB`, `MiB`, `GiB`, `TiB`, `KB`, `MB`, `GB`, `TB`"
RATES = f"the units of a rate are {', '.join(f'`{unit}`' for unit in RATE_UNITS)}"

CASES = [
    # Wrong command lines
    Case(
        "nothing",
        "",
        2,
        "peer.py: error: the following arguments are required:"
        f" mode, FILENAME, TRACKER_ADDRESS, LISTEN_ADDRESS {USAGE}",
    ),
    Case(
        "mode",
        f"fetch myfile.txt {NOWHERE} {ANYWHERE}",
        2,
        f"peer.py: error: argument mode: invalid choice: 'fetch' (choose from 'share', 'get') {USAGE}",
    ),
    Case(
        "one-too-many",
        f"share myfile.txt {NOWHERE} {ANYWHERE} more",
        2,
        f"peer.py: error: unrecognized arguments: more {USAGE}",
    ),
    Case(
        "no-such-option",
        f"share myfile.txt {NOWHERE} {ANYWHERE} --speed 1",
        2,
        f"peer.py: error: unrecognized arguments: --speed 1 {USAGE}",
    ),
    Case(
        "tracker-without-port",
        f"share myfile.txt 127.0.0.1 {ANYWHERE}",
        2,
        "peer.py: error: tracker address: `127.0.0.1` is not HOST:PORT; write for example `127.0.0.1:6771`",
    ),
    Case(
        "tracker-port-0",
        f"share myfile.txt 127.0.0.1:0 {ANYWHERE}",
        2,
        "peer.py: error: tracker address: `0` is not a port; write a number from 1 to 65535",
    ),
    Case(
        "tracker-port-too-large",
        f"get myfile.txt 127.0.0.1:65536 {ANYWHERE}",
        2,
        "peer.py: error: tracker address: `65536` is not a port; write a number from 1 to 65535",
    ),
    Case(
        "listen-port-in-words",
        f"get myfile.txt {NOWHERE} 127.0.0.1:http",
        2,
        "peer.py: error: listen address: `http` is not a port; write a number from 0 to 65535",
    ),
    Case(
        "listen-port-alone",
        f"get myfile.txt {NOWHERE} :52612",
        2,
        "peer.py: error: listen address: `:52612` is not HOST:PORT; write for example `127.0.0.1:6771`",
    ),
    Case(
        "listen-port-too-large",
        f"get myfile.txt {NOWHERE} 127.0.0.1:99999999999999999999",
        2,
        "peer.py: error: listen address: `99999999999999999999` is not a port; write a number from 0 to 65535",
    ),
    Case(
        "get-with-piece-length",
        f"get myfile.txt {NOWHERE} {ANYWHERE} --piece-length 64KiB",
        2,
        "peer.py: error: --piece-length is for share only: with get, the swarm has a piece length already",
    ),
    Case(
        "get-with-public",
        f"get myfile.txt {NOWHERE} {ANYWHERE} --public",
        2,
        "peer.py: error: --public is for share only: with get, the swarm has an info dictionary already",
    ),
    Case(
        "get-with-a-torrent-that-is-not-there",
        f"get myfile.txt {NOWHERE} {ANYWHERE} --torrent x.torrent",
        1,
        "peer.py: error: cannot read x.torrent: no such file or directory",
    ),
    Case(
        "get-with-a-torrent-that-is-none",
        f"get myfile.txt {NOWHERE} {ANYWHERE} --torrent myfile.txt",
        1,
        "peer.py: error: myfile.txt: not a .torrent file: number without an end at offset 0",
    ),
    Case(
        "get-with-the-torrent-of-another-file",
        f"get other.txt {NOWHERE} {ANYWHERE} --torrent it.torrent",
        2,
        "peer.py: error: it.torrent is the .torrent of 'myfile.txt', not of 'other.txt'",
    ),
    Case(
        "get-with-a-magnet-link-and-a-torrent",
        f"get magnet:?xt=urn:btih:{'00' * 20}&dn=a {NOWHERE} {ANYWHERE} --torrent it.torrent",
        2,
        "peer.py: error: a magnet link and --torrent both describe the file\n  hint: use one of them",
    ),
    Case(
        "get-with-half-a-magnet-link",
        f"get magnet:?dn=a {NOWHERE} {ANYWHERE}",
        2,
        "peer.py: error: the magnet link has no info-hash (xt=urn:btih:...)",
    ),
    Case(
        "get-with-a-magnet-link-of-version-2",
        f"get MAGNET:?xt=urn:btmh:1220{'00' * 32} {NOWHERE} {ANYWHERE}",
        2,
        "peer.py: error: the magnet link is of BitTorrent v2 only; use one with an xt=urn:btih",
    ),
    Case(
        "get-with-a-torrent-of-version-2",
        f"get v2 {NOWHERE} {ANYWHERE} --torrent v2.torrent",
        1,
        "peer.py: error: v2.torrent: info dictionary of BitTorrent v2 only;"
        " write the file as v1 or as a hybrid of both",
    ),
    Case(
        "get-with-a-torrent-of-large-pieces",
        f"get large {NOWHERE} {ANYWHERE} --torrent large.torrent",
        1,
        "peer.py: error: large.torrent: info dictionary: pieces of 268435456 bytes,"
        " at most 67108864 (64 MiB) are allowed",
    ),
    Case(
        "get-with-the-path-of-a-torrent",
        f"get ./it.torrent {NOWHERE} {ANYWHERE}",
        2,
        "peer.py: error: ./it.torrent is a path, not the name of a shared file\n"
        "  hint: write the name, and add --torrent ./it.torrent",
    ),
    Case(
        "tracker-of-another-scheme",
        f"get myfile.txt http://127.0.0.1:6969/announce {ANYWHERE}",
        2,
        "peer.py: error: tracker address: `http://127.0.0.1:6969/announce` is no UDP tracker;"
        " write HOST:PORT or udp://HOST:PORT",
    ),
    Case(
        "tracker-as-in-links",
        f"get myfile.txt udp://127.0.0.1:0/announce {ANYWHERE}",
        2,
        "peer.py: error: tracker address: `0` is not a port; write a number from 1 to 65535",
    ),
    Case(
        "piece-length-no-power-of-two",
        f"share myfile.txt {NOWHERE} {ANYWHERE} --piece-length 100KiB",
        2,
        "peer.py: error: --piece-length must be a power of two from 16KiB to 64MiB",
    ),
    Case(
        "piece-length-too-small",
        f"share myfile.txt {NOWHERE} {ANYWHERE} --piece-length 8KiB",
        2,
        "peer.py: error: --piece-length must be a power of two from 16KiB to 64MiB",
    ),
    Case(
        "piece-length-without-unit",
        f"share myfile.txt {NOWHERE} {ANYWHERE} --piece-length 262144",
        2,
        "peer.py: error: argument --piece-length: `262144` has no unit; write `262144MiB` or `262144B`;"
        f" {SIZE_UNITS} {USAGE}",
    ),
    Case(
        "timeout-without-unit",
        f"get myfile.txt {NOWHERE} {ANYWHERE} --timeout 15",
        2,
        f"peer.py: error: argument --timeout: `15` has no unit; write `15s` or `15ms`; {DURATION_UNITS} {USAGE}",
    ),
    Case(
        "give-up-unknown-unit",
        f"get myfile.txt {NOWHERE} {ANYWHERE} --give-up 1d",
        2,
        f"peer.py: error: argument --give-up: `d` is not a unit of a duration; {DURATION_UNITS} {USAGE}",
    ),
    Case(
        "timeout-of-nothing",
        f"get myfile.txt {NOWHERE} {ANYWHERE} --timeout 0s",
        2,
        "peer.py: error: --timeout and --give-up must be longer than zero",
    ),
    Case(
        "rate-is-a-size",
        f"share myfile.txt {NOWHERE} {ANYWHERE} --upload-rate 1MiB",
        2,
        f"peer.py: error: argument --upload-rate: `MiB` is not a unit of a rate; did you mean `1MiB/s`? {USAGE}",
    ),
    Case(
        "rate-unknown-unit",
        f"share myfile.txt {NOWHERE} {ANYWHERE} --upload-rate 1knot",
        2,
        f"peer.py: error: argument --upload-rate: `knot` is not a unit of a rate; {RATES} {USAGE}",
    ),
    Case(
        "seed-in-words",
        f"get myfile.txt {NOWHERE} {ANYWHERE} --seed seven",
        2,
        f"peer.py: error: argument --seed: invalid int value: 'seven' {USAGE}",
    ),
    Case(
        "strategy",
        f"get myfile.txt {NOWHERE} {ANYWHERE} --strategy fastest",
        2,
        f"peer.py: error: argument --strategy: invalid choice: 'fastest' (choose from 'single', 'swarm') {USAGE}",
    ),
    Case(
        "log-level",
        f"get myfile.txt {NOWHERE} {ANYWHERE} --log-level loud",
        2,
        "peer.py: error: argument --log-level: invalid choice: 'loud'"
        f" (choose from 'info', 'warning', 'error') {USAGE}",
    ),
    Case(
        "peer-name-with-blank",
        f"get myfile.txt {NOWHERE} {ANYWHERE} --name my\N{NO-BREAK SPACE}peer",
        2,
        "peer.py: error: peer name 'my\\xa0peer' holds a blank\n  hint: use letters, digits, '-', '_' and '.'",
    ),
    Case(
        "get-a-path",
        f"get some/myfile.txt {NOWHERE} {ANYWHERE}",
        2,
        "peer.py: error: file name 'some/myfile.txt' holds '/'\n  hint: a name is one component, never a path",
    ),
    Case(
        "get-two-dots",
        f"get .. {NOWHERE} {ANYWHERE}",
        2,
        "peer.py: error: file name '..' names a directory",
    ),
    Case(
        "get-too-long-a-name",
        f"get {LONG} {NOWHERE} {ANYWHERE}",
        2,
        "peer.py: error: file name has 256 bytes of UTF-8, at most 255 are allowed",
    ),
    Case(
        "share-with-control-character",
        f"share odd\x07name {NOWHERE} {ANYWHERE}",
        2,
        "peer.py: error: file name 'odd\\x07name' holds the control character U+0007",
    ),
    # Valid command lines that cannot be executed
    Case(
        "no-such-file",
        f"share nope.txt {NOWHERE} {ANYWHERE}",
        1,
        "peer.py: error: nope.txt does not exist\n  hint: set the file's directory with --dir",
    ),
    Case(
        "no-such-file-in-dir",
        f"share nope.txt {NOWHERE} {ANYWHERE} --dir folder",
        1,
        "peer.py: error: folder/nope.txt does not exist\n  hint: set the file's directory with --dir",
    ),
    Case(
        "link-to-nothing",
        f"share dangling {NOWHERE} {ANYWHERE}",
        1,
        "peer.py: error: dangling does not exist\n  hint: set the file's directory with --dir",
    ),
    Case(
        "below-a-file",
        f"share myfile.txt/more {NOWHERE} {ANYWHERE}",
        1,
        "peer.py: error: myfile.txt/more: not a directory",
    ),
    Case(
        "share-too-long-a-name",
        f"share {LONG} {NOWHERE} {ANYWHERE}",
        1,
        f"peer.py: error: {LONG}: file name too long",
    ),
    Case(
        "share-a-directory",
        f"share folder {NOWHERE} {ANYWHERE}",
        1,
        "peer.py: error: folder is a directory; only single files are shared",
    ),
    Case(
        "share-the-current-directory",
        f"share . {NOWHERE} {ANYWHERE}",
        1,
        "peer.py: error: . is a directory; only single files are shared",
    ),
    Case(
        "share-a-fifo",
        f"share fifo {NOWHERE} {ANYWHERE}",
        1,
        "peer.py: error: fifo is not a regular file",
    ),
    Case(
        "get-into-no-directory",
        f"get myfile.txt {NOWHERE} {ANYWHERE} --dir nope",
        1,
        "peer.py: error: nope is not a directory\n  hint: create it, or choose another one with --dir",
    ),
    Case(
        "get-into-a-file",
        f"get myfile.txt {NOWHERE} {ANYWHERE} --dir myfile.txt",
        1,
        "peer.py: error: myfile.txt is not a directory\n  hint: create it, or choose another one with --dir",
    ),
    Case(
        "get-into-too-long-a-directory",
        f"get myfile.txt {NOWHERE} {ANYWHERE} --dir {LONG}",
        1,
        f"peer.py: error: {LONG}: file name too long",
    ),
    Case(
        "no-such-host",
        f"share myfile.txt no-such-host.invalid:6771 {ANYWHERE}",
        1,
        "peer.py: error: tracker address 'no-such-host.invalid:6771':"
        " no IPv4 address is known for 'no-such-host.invalid'",
    ),
    Case(
        "ipv6",
        f"share myfile.txt [::1]:6771 {ANYWHERE}",
        2,
        "peer.py: error: tracker address: `[::1]:6771` looks like IPv6, which is not supported; "
        "write an IPv4 address: `127.0.0.1:6771`",
    ),
    Case(
        "port-in-use",
        f"share myfile.txt {NOWHERE} 127.0.0.1:{{port}}",
        1,
        "peer.py: error: cannot listen on 127.0.0.1:{port}: address already in use\n"
        "  hint: another program has the port; port 0 takes any free one",
    ),
    Case(
        "address-of-another-machine",
        f"share myfile.txt {NOWHERE} 192.0.2.1:0",
        1,
        "peer.py: error: cannot listen on 192.0.2.1:0: cannot assign requested address\n"
        "  hint: this machine does not have that address",
    ),
    Case(
        "tracker-beyond-the-listen-address",
        f"share myfile.txt 192.0.2.1:6771 {ANYWHERE}",
        1,
        "peer.py: error: cannot reach the tracker at 192.0.2.1:6771 from 127.0.0.1: invalid argument\n"
        "  hint: listen on an address in the tracker's network",
    ),
    Case(
        "torrent-into-no-directory",
        f"share myfile.txt {NOWHERE} {ANYWHERE} --torrent nope/it.torrent",
        1,
        "peer.py: error: cannot write nope/it.torrent: no such file or directory",
    ),
    Case(
        "torrent-is-a-directory",
        f"share myfile.txt {NOWHERE} {ANYWHERE} --torrent folder",
        1,
        "peer.py: error: cannot write folder: is a directory",
    ),
    Case(
        "console-in-no-directory",
        f"share myfile.txt {NOWHERE} {ANYWHERE} --console nope/socket",
        1,
        "peer.py: error: cannot create the console's socket: there is no directory nope; create it,"
        " or choose another path",
    ),
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Make a directory with one file of each kind."""
    make_file(tmp_path / "myfile.txt", 100)
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to("nothing")
    os.mkfifo(tmp_path / "fifo")
    make_file(tmp_path / "odd\x07name", 1)
    (tmp_path / "it.torrent").write_bytes(torrent_with_url(make_info("myfile.txt", 100, 16384, bytes(20)), None))
    v2 = b"d4:infod9:file treede12:meta versioni2e4:name2:v212:piece lengthi16384eee"
    (tmp_path / "v2.torrent").write_bytes(v2)
    large = make_info("large", 100, 1 << 28, bytes(20))
    (tmp_path / "large.torrent").write_bytes(torrent_with_url(large, None))
    return tmp_path


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def run(words: list[str], directory: Path, *before: str) -> tuple[int, str]:
    environ = {key: value for key, value in os.environ.items() if key != "TORRENTNET_CONSOLE"}
    done = subprocess.run(
        [*before, sys.executable, str(PEER), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=directory,
        env=environ,
        timeout=DEADLINE_S,
        check=False,
    )
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_message(case: Case, place: Path, taken_port: int) -> None:
    before = sorted(place.rglob("*"))
    words = [word.replace("{port}", str(taken_port)) for word in case.words.split(" ") if word]
    assert run(words, place) == (case.status, case.text.replace("{port}", str(taken_port)) + "\n")
    assert sorted(place.rglob("*")) == before


@pytest.fixture
def open_place() -> Iterator[Path]:
    """Make a directory that every user may enter, for the tests under another user."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def as_nobody(words: list[str], directory: Path) -> tuple[int, str]:
    """Run as a user without root's rights, or skip the test."""
    if os.geteuid() != 0:
        return run(words, directory)
    if not shutil.which("setpriv"):
        pytest.skip("as root nothing is unreadable, and there is no setpriv to become somebody else")
    drop = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    probe = subprocess.run([*drop, sys.executable, str(PEER), "--version"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("as root nothing is unreadable, and another user cannot run this Python")
    return run(words, directory, *drop)


def test_a_file_that_may_not_be_read(open_place: Path) -> None:
    make_file(open_place / "secret.txt", 10).chmod(0)
    assert as_nobody(["share", "secret.txt", NOWHERE, ANYWHERE], open_place) == (
        1,
        "peer.py: error: cannot open secret.txt: permission denied\n",
    )


def test_a_directory_that_may_not_be_entered(open_place: Path) -> None:
    (open_place / "closed").mkdir(mode=0o700)
    (open_place / "closed" / "inner").mkdir()
    if os.geteuid() != 0:
        (open_place / "closed").chmod(0)
    expected = (1, "peer.py: error: cannot open closed/{}: permission denied\n")
    share = as_nobody(["share", "closed/myfile.txt", NOWHERE, ANYWHERE], open_place)
    get = as_nobody(["get", "myfile.txt", NOWHERE, ANYWHERE, "--dir", "closed/inner"], open_place)
    (open_place / "closed").chmod(0o700)
    assert share == (expected[0], expected[1].format("myfile.txt"))
    assert get == (expected[0], expected[1].format("inner"))


def test_a_directory_that_may_not_be_written(loopback: Loopback, open_place: Path, tmp_path: Path) -> None:
    tracker = loopback.tracker()
    loopback.share(make_file(tmp_path / "myfile.txt", 100), tracker)
    if os.geteuid() != 0:
        open_place.chmod(0o555)
    answer = as_nobody(["get", "myfile.txt", tracker.address, ANYWHERE, "--name", "leecher"], open_place)
    open_place.chmod(0o755)
    assert answer == (1, "peer.py: error: cannot open myfile.txt.part: permission denied\n")
    tracker.until("outcome", peer="leecher", result="failed")


def test_name_taken_by_other_content(loopback: Loopback, tmp_path: Path) -> None:
    tracker = loopback.tracker()
    seed = loopback.share(make_file(tmp_path / "myfile.txt", 100), tracker, "--name", "first")
    other = tmp_path / "other"
    other.mkdir()
    make_file(other / "myfile.txt", 100, seed=2)
    assert run(["share", "myfile.txt", tracker.address, ANYWHERE], other) == (
        1,
        (
            "peer.py: error: the tracker refused 'myfile.txt': name taken: myfile.txt is another file here,"
            f" held by first ({seed.address}); share yours under another name\n"
        ),
    )


def test_nobody_has_the_file(loopback: Loopback, tmp_path: Path) -> None:
    tracker = loopback.tracker()
    words = ["get", "nope.txt", tracker.address, ANYWHERE, "--give-up", "1s", "--name", "leecher"]
    reason = "the tracker knows no file named 'nope.txt'; gave up after 1 s without a new piece"
    assert run(words, tmp_path) == (1, f"peer.py: error: {reason}\n")
    assert tracker.until("outcome", peer="leecher")["reason"] == reason
    assert tracker.until("outcome", peer="leecher")["result"] == "failed"
    assert len(tracker.named("request")) == 1


def test_the_tracker_does_not_answer(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        assert run(["get", "myfile.txt", address, ANYWHERE, "--give-up", "500ms"], tmp_path) == (
            1,
            "peer.py: error: the tracker does not answer; gave up after 0.5 s without a new piece\n",
        )


def test_all_sources_refuse(loopback: Loopback, tmp_path: Path) -> None:
    tracker = loopback.tracker("--keepalive", "1m", "--timeout", "5m")
    seed = loopback.share(make_file(tmp_path / "myfile.txt", 100), tracker, "--name", "seed")
    seed.kill()
    there = tmp_path / "there"
    there.mkdir()
    assert run(["get", "myfile.txt", tracker.address, ANYWHERE, "--give-up", "3s"], there) == (
        1,
        "peer.py: error: seed: connection refused; gave up after 3 s without a new piece\n",
    )
    assert list(there.iterdir()) == []


def test_another_peer_downloads_to_the_same_place(loopback: Loopback, tmp_path: Path) -> None:
    tracker = loopback.tracker()
    slow = ("--upload-rate", "128KiB/s", "--piece-length", "16KiB")
    loopback.share(make_file(tmp_path / "myfile.txt", 1 << 20), tracker, *slow)
    there = tmp_path / "there"
    loopback.get("myfile.txt", tracker, there).until("progress")
    second = loopback.get("myfile.txt", tracker, there)
    assert second.wait() == 1
    assert second.errors == [
        f"peer.py: error: another peer is downloading to {there / 'myfile.txt.part'}",
        "  hint: give each peer a directory of its own with --dir",
    ]


def test_the_file_becomes_shorter_while_it_is_shared(loopback: Loopback, tmp_path: Path) -> None:
    source = make_file(tmp_path / "myfile.txt", 1 << 20)
    tracker = loopback.tracker()
    seed = loopback.share(source, tracker, "--name", "seed")
    os.truncate(source, 1000)
    leecher = loopback.get("myfile.txt", tracker, tmp_path / "there")
    assert seed.wait() == 1
    assert seed.errors == [
        f"peer.py: error: {source}: the file has become shorter since it was hashed",
        "  hint: restart the peer to share the current file",
    ]
    tracker.until("left", peer="seed")
    leecher.until("source_lost", peer="seed")


def test_a_torrent_that_cannot_be_written(loopback: Loopback, tmp_path: Path) -> None:
    tracker = loopback.tracker()
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    source = make_file(tmp_path / "myfile.txt", 100)
    words = ["share", str(source), tracker.address, ANYWHERE, "--torrent", str(full), "--name", "seed"]
    assert run(words, tmp_path) == (1, "peer.py: error: cannot write /dev/full: no space left on device\n")
    # The tracker must not list a peer that has ended.
    tracker.until("left", peer="seed")


def test_a_torrent_is_not_written_over_another_file(loopback: Loopback, tmp_path: Path) -> None:
    tracker = loopback.tracker()
    source, other = make_file(tmp_path / "myfile.txt", 100), make_file(tmp_path / "it.torrent", 10)
    before = other.read_bytes()
    hint = "  hint: choose another name, or replace it with --force: it.torrent exists\n"
    words = ["share", "myfile.txt", tracker.address, ANYWHERE, "--torrent", "it.torrent", "--name", "seed"]
    status, errors = run(words, tmp_path)
    assert (status, errors.startswith("peer.py: error: it.torrent: "), errors.endswith(f"\n{hint}")) == (1, True, True)
    assert other.read_bytes() == before
    loopback.share(source, tracker, "--torrent", other, "--force").end()
    written = other.read_bytes()
    assert written != before
    # The .torrent that exists is the description of what is shared.
    loopback.share(source, tracker, "--torrent", other).end()
    assert other.read_bytes() == written
    assert run([*words, "--public"], tmp_path) == (
        2,
        f"peer.py: error: the .torrent that exists says how the file is shared, not the options\n{hint}",
    )
    make_file(tmp_path / "else.txt", 100)
    assert run([words[0], "else.txt", *words[2:]], tmp_path) == (
        2,
        f"peer.py: error: it.torrent is the .torrent of 'myfile.txt', not of 'else.txt'\n{hint}",
    )
    source.write_bytes(bytes(100))
    assert run(words, tmp_path) == (
        1,
        (
            "peer.py: error: myfile.txt is not the file that the .torrent describes\n"
            "  hint: share the file that it was made of, or write a new .torrent with --force\n"
        ),
    )
    assert other.read_bytes() == written


def test_a_peer_without_descriptors_names_the_limit(place: Path) -> None:
    few = ("sh", "-c", 'ulimit -n 7 && exec "$@"', "sh")
    assert run(["share", "myfile.txt", NOWHERE, ANYWHERE], place, *few) == (
        1,
        "peer.py: error: too many open files\n  hint: allow more, for example `ulimit -n 64`\n",
    )


def test_help_names_units_defaults_and_statuses() -> None:
    done = subprocess.run([sys.executable, str(PEER), "--help"], capture_output=True, check=True, text=True)
    assert done.stderr == ""
    for part in ("share", "get", "15s", "60s", "256KiB", "1MiB/s", "exit status: 0", "peer.py share myfile.txt"):
        assert part in done.stdout
