"""What a program does becomes events; what it prints does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.unit.adapters.observer.observed import CONTENT, FILE, SHA256, WANTED, Observer, root_only, wait_until

PEER = """
import socket, time
s = socket.create_server(('127.0.0.1', 0))
print('ready', flush=True)
{work}
time.sleep(600)
"""


def test_what_a_program_prints_is_never_an_event(tmp_path: Path) -> None:
    forged = f"2026-11-30T12:00:00.000Z completed file={FILE} bytes=14 ms=1 sha256={SHA256}"
    with Observer(tmp_path, "get", *WANTED, code=f"print({forged!r}); print('\\r{forged}\\x1b[0m')") as observer:
        observer.wait()
        assert observer.said() == [forged, forged]
        assert {event.name for event in observer.events} == {"state", "said", "exited"}


def test_a_get_node_reports_its_file(tmp_path: Path) -> None:
    work = f"import os; os.mkdir('in'); open('in/x', 'wb').write({CONTENT!r})"
    with Observer(tmp_path, "get", *WANTED, code=PEER.format(work=work)) as observer:
        observer.until("state", state="seed", file=FILE)
        assert observer.until("completed")["sha256"] == SHA256
        assert [event.fields["state"] for event in observer.named("state")] == ["get", "seed"]
        assert not observer.named("published")


def test_a_wrong_file_is_not_complete(tmp_path: Path) -> None:
    code = f"open({FILE!r}, 'wb').write({CONTENT.upper()!r})"
    with Observer(tmp_path, "get", *WANTED, code=code) as observer:
        assert observer.wait() == 0
        assert not observer.named("completed")


def test_a_file_that_is_complete_as_the_program_ends_counts(tmp_path: Path) -> None:
    with Observer(tmp_path, "get", *WANTED, code=f"open({FILE!r}, 'wb').write({CONTENT!r})") as observer:
        assert observer.wait() == 0
        assert [event.name for event in observer.events][-2:] == ["completed", "exited"]
        assert not observer.named("state", state="seed")


def test_a_share_node_gets_its_files_and_is_published(tmp_path: Path) -> None:
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "peer.py").write_text(PEER.format(work="print(open('tmp/myfile.txt').read())"))
    (tmp_path / "shared").write_bytes(CONTENT)
    options = ["--program", tmp_path / "program", "--files", "tmp", "--share", tmp_path / "shared", *WANTED]
    with Observer(tmp_path, "share", *options, argv=["python3", "peer.py"]) as observer:
        assert observer.until("published") == {"file": FILE, "size": "14", "sha256": SHA256}
        observer.until("state", state="seed")
        assert observer.until("listening")["program"] == "python3"
        assert observer.said() == ["ready", "hello, world!"]


def test_a_tracker_without_a_socket_is_an_error(tmp_path: Path) -> None:
    with Observer(tmp_path, "tracker", "--ready", "0.3", code="input()") as observer:
        assert observer.until("error")["reason"] == "the program has opened no UDP socket within 0.3 s"
        assert not observer.named("listening")


def test_a_leecher_without_a_socket_is_up_after_its_time(tmp_path: Path) -> None:
    with Observer(tmp_path, "get", "--ready", "0.3", *WANTED, code="input()") as observer:
        assert observer.until("listening") == {"program": os.path.basename(sys.executable), "name": "node-1"}


def test_too_much_output_is_dropped_and_told_once(tmp_path: Path) -> None:
    code = "for number in range(100000): print(number)\nprint('end')"
    with Observer(tmp_path, "run", "--max-output", 20_000, code=code) as observer:
        assert observer.wait() == 0
        assert len(observer.named("output_cut", bytes=20_000)) == 1
        said = len(observer.said())
        assert 0 < said < 5000
        left_out = sum(int(event.fields["lines"]) for event in observer.named("left_out"))
        assert said + left_out < 5000


@root_only
def test_the_program_starts_when_its_network_is_ready(tmp_path: Path) -> None:
    started = tmp_path / "started"
    argv = ["sh", "-c", f"ip link show lo >{started}"]
    with Observer(tmp_path, "run", argv=argv, environ={"TORRENTNET_GATE": "77"}, prefix=["unshare", "-n"]) as observer:
        console = observer.console
        assert wait_until(lambda: Path(console.path).exists())
        assert not started.exists()
        network = f"--net=/proc/{observer.process.pid}/ns/net"
        subprocess.run(["nsenter", network, "ip", "link", "set", "lo", "txqueuelen", "77"], check=True)
        assert observer.wait() == 0
        assert "qlen 77" in started.read_text()
