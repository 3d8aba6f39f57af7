"""Programs that a scenario brings along: how they are prepared, started, reached."""

from __future__ import annotations

import contextlib
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import docker
from tests.integration.engines import DOCKER, LOCAL, LOOPBACK, Kind, on
from torrentnet.lab.engines.types import NodeStatus
from torrentnet.lab.errors import EngineError
from torrentnet.lab.run.lifecycle import LabLifecycle
from torrentnet.lab.scenario.plan.plan import FilePlan, NodePlan, NodeProgram, Plan, Role
from torrentnet.lab.scenario.plan.program import Addresses, ProgramPlan

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT: Final = 30.0
FILE: Final = "a.bin"
SIZE: Final = 300_007
TRACKER: Final = """
import socket, sys
ip, port = sys.argv[1].split(":")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.bind((sys.argv[2], int(port)))
    seeds = []
    while True:
        words, who = sock.recvfrom(2000)
        verb, _, seed = words.decode().partition(" ")
        if verb == "have":
            seeds.append(seed)
        sock.sendto(seeds[0].encode() if seeds else b"-", who)
"""
PEER: Final = """
import os, socket, sys, time
mode, name, tracker, listen, bind = sys.argv[1:6]
def at(text):
    ip, port = text.split(":")
    return ip, int(port)
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(0.5)
if bind:
    sock.bind((bind, 0))
server = socket.create_server(at(listen))
def ask(words):
    while True:
        try:
            sock.sendto(words.encode(), at(tracker))
            return sock.recv(2000).decode()
        except OSError:
            time.sleep(0.1)
if mode == "get":
    while (seed := ask("want")) == "-":
        time.sleep(0.1)
    while True:
        try:
            with socket.create_connection(at(seed), 1) as source, open(name, "wb") as file:
                while data := source.recv(65536):
                    file.write(data)
            break
        except OSError:
            time.sleep(0.1)
else:
    ask("have " + listen)
print("has", os.path.getsize(name), "as", os.getuid(), os.environ.get("OWN"), flush=True)
while True:
    client, _ = server.accept()
    with client, open(name, "rb") as file:
        client.sendfile(file)
"""


def program(tmp_path: Path, *, everywhere: str = "0.0.0.0", digest: str = "1", **more: object) -> ProgramPlan:
    """A tracker and a peer for one machine; the tracker binds to ``everywhere``."""
    folder = tmp_path / "mine"
    folder.mkdir(exist_ok=True)
    (folder / "tracker.py").write_text(TRACKER, encoding="utf-8")
    (folder / "peer.py").write_text(PEER, encoding="utf-8")
    peer = "peer.py {mode} {{file}} {{tracker}} {{listen}} '{bind}'"
    commands = (
        ("tracker", f"python3 tracker.py {{ip}}:{{port}} {everywhere}"),
        ("share", "python3 " + peer.format(mode="share", bind="")),
        ("get", "python3 " + peer.format(mode="get", bind="127.0.0.1")),
    )
    made = ProgramPlan("mine", folder, f"{tmp_path}{digest}", "", commands)
    return replace(made, **more)  # type: ignore[arg-type]


def swarm(mine: ProgramPlan) -> Plan:
    given = {"program": NodeProgram.FOREIGN, "foreign": mine}
    nodes = (
        NodePlan("tracker", "tracker", Role.TRACKER, None, 0.0),
        NodePlan("seeder", "seeder", Role.SHARE, FILE, 0.0),
        NodePlan("leecher", "leecher", Role.GET, FILE, 0.0),
    )
    own = tuple(replace(node, **given) for node in nodes)  # type: ignore[arg-type]
    return Plan("trial", "", Path("trial.yaml"), 1, 60.0, (FilePlan(FILE, SIZE),), own, ())


def alone(mine: ProgramPlan) -> Plan:
    """A lab of one node, which has no role in a swarm."""
    node = NodePlan("server", "server", Role.RUN, None, 0.0, program=NodeProgram.FOREIGN, foreign=mine)
    return Plan("trial", "", Path("trial.yaml"), 1, 60.0, (), (node,), ())


@contextlib.contextmanager
def lab(plan: Plan, kind: Kind, home: Path, *, trusted: bool = True) -> Iterator[LabLifecycle]:
    engine = kind.make()
    engine.trusted = trusted
    with LabLifecycle(plan, engine, home=home, runs=home / "runs") as found:
        yield found


def said(found: LabLifecycle, node: str, text: str) -> bool:
    def seen() -> bool:
        return any(text in event.fields.get("text", "") for event in found.nodes.events(node, "said"))

    return found.nodes.wait_until(seen, WAIT)


@on(DOCKER, LOCAL)
def test_programs_that_know_127_0_0_1_only_are_nodes(engine: Kind, home: Path, tmp_path: Path) -> None:
    with lab(swarm(program(tmp_path)), engine, home) as found:
        with found.partition("leecher", "seeder"):
            found.start("leecher")
            found.nodes.wait_until(lambda: bool(found.nodes.events("leecher", "listening")), WAIT)
            assert not found.nodes.events("leecher", "completed")
            found.kill("leecher")
        # In a new network namespace, the translation is set again.
        found.start("leecher")
        assert found.nodes.wait_until(lambda: bool(found.nodes.events("leecher", "completed")), WAIT)
        user = engine.user.partition(":")[0]
        assert said(found, "leecher", f"has {SIZE} as {user}")
        assert "python3 peer.py get" in found.engine.exec("leecher", ["console", "observer", "status"]).output
        found.stop("leecher")
        assert found.engine.state("leecher").status is NodeStatus.EXITED
    assert engine.left_over(home) == []


@on(DOCKER)
def test_a_tracker_on_127_0_0_1_answers_what_is_built_and_installed(
    engine: Kind, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "own_words-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("own_words.py", "import os\nos.environ['OWN'] = 'installed'\n")
        wheel.writestr("own_words-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: own-words\nVersion: 1.0\n")
        wheel.writestr(
            "own_words-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("own_words-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    build = "mkdir out && { echo import own_words; cat peer.py; } >out/peer.py && id -u"
    mine = program(tmp_path, everywhere="127.0.0.1", install="needs.txt", build=build)
    commands = tuple((role, line.replace("peer.py", "out/peer.py")) for role, line in mine.commands)
    assert mine.folder is not None
    (mine.folder / "needs.txt").write_text("own-words==1.0\n", encoding="utf-8")
    with lab(swarm(replace(mine, commands=commands)), engine, home) as found:
        found.start("leecher")
        assert said(found, "leecher", f"has {SIZE} as 10001 installed")
    assert not (mine.folder / "out").exists()


HOSTILE: Final = """
FROM scratch
COPY nothing /nothing
ENV LD_PRELOAD=/evil.so PYTHONHOME=/evil TORRENTNET_CONSOLE=/evil PATH=/nowhere OWN=words
LABEL org.torrentnet.lab=evil org.torrentnet.node=evil
VOLUME /data /stored
USER 1234:1234
WORKDIR /work
ENTRYPOINT ["/nothing"]
HEALTHCHECK CMD ["/nothing"]
STOPSIGNAL SIGKILL
"""
PRINTS: Final = "print(os.getuid(), os.environ['OWN'], os.environ['LD_PRELOAD'], os.getcwd(), flush=True)"
IN_SCRATCH: Final = f'/torrentnet/sbin/python3 -ISBc "import os, signal; {PRINTS}; signal.pause()"'


@on(DOCKER)
def test_an_image_without_anything_is_a_node_whatever_it_asks_for(engine: Kind, home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "box"
    folder.mkdir()
    (folder / "Dockerfile").write_text(HOSTILE, encoding="utf-8")
    (folder / "nothing").write_text("", encoding="utf-8")
    box = ProgramPlan("box", folder, f"{tmp_path}", "", (("run", IN_SCRATCH),), addresses=Addresses.REAL)
    with lab(alone(box), engine, home) as found:
        assert said(found, "server", "10001 words /evil.so /data")
        assert found.engine.exec("server", ["console", "observer", "status"]).status == 0
        # Rules are set by our own tools, because the image has none.
        ran = found.engine.exec_root("server", ["sh", "-s"], "ip -o link show lo && iptables -S INPUT && echo $PATH")
        assert ran.stdout.splitlines()[-2:] == ["-P INPUT ACCEPT", "/torrentnet/sbin"]
        found.stop("server")
        assert found.nodes.wait_until(lambda: bool(found.nodes.events("server", "closing")), WAIT)
    assert engine.left_over(home) == []


REFUSED: Final = {
    "build": (
        {"build": "{ echo one; echo two; } >&2; exit 3"},
        "the build of the program mine failed with status 3: one; two",
    ),
    "image": (
        {"image": "127.0.0.1:9/none:1"},
        "the image 127.0.0.1:9/none:1 of the program mine is not on this machine, and cannot be pulled: ",
    ),
    "install": (
        {"install": "../needs.txt"},
        "the install step of the program mine: there is no file ../needs.txt in its folder",
    ),
}


@on(DOCKER)
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_prepared_is_one_line(engine: Kind, home: Path, tmp_path: Path, case: str) -> None:
    given, message = REFUSED[case]
    mine = program(tmp_path, **given)
    with pytest.raises(EngineError) as caught, lab(swarm(mine), engine, home):
        pass
    assert caught.value.message.startswith(message)
    assert "\n" not in caught.value.message
    assert caught.value.hint
    assert engine.left_over(home) == []


@on(DOCKER)
def test_an_image_for_another_processor_is_refused(engine: Kind, home: Path, tmp_path: Path) -> None:
    name = "torrentnet-test-processor:1"
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n", encoding="utf-8")
    build = ["docker", "build", "--quiet", "--platform", "linux/s390x", "--tag", name, str(tmp_path)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    try:
        with pytest.raises(EngineError) as caught, lab(swarm(program(tmp_path, image=name)), engine, home):
            pass
        assert caught.value.message.startswith(f"the image {name} of the program mine is for linux/s390x, and this")
        assert caught.value.hint.startswith("`docker pull --platform linux/")
    finally:
        client = docker.from_env()
        client.images.remove(name)
        client.close()


@on(LOCAL)
def test_a_program_that_nobody_trusts_needs_a_container(engine: Kind, home: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught, lab(swarm(program(tmp_path)), engine, home, trusted=False):
        pass
    assert caught.value.exit_code == 3
    assert caught.value.message == (
        "the engine `local` does not confine the program mine: as a process of this machine it reads what you may read"
    )
    assert caught.value.hint.startswith("use Docker, or add `--trust` for a program that you trust; ")


@on(LOCAL)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"image": "x:1"}, "runs in the image x:1"),
        ({"build": "make"}, "is built by `make`"),
        ({"install": "needs.txt"}, "installs needs.txt"),
    ],
)
def test_what_needs_a_container_is_refused_by_name(
    engine: Kind, home: Path, tmp_path: Path, given: dict[str, str], message: str
) -> None:
    with pytest.raises(EngineError) as caught, lab(swarm(program(tmp_path, **given)), engine, home):
        pass
    assert caught.value.message == f"the program mine {message}, which the engine `local` does not do"


@on(LOOPBACK)
def test_a_program_is_not_observed_on_a_shared_interface(engine: Kind, home: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught, lab(swarm(program(tmp_path)), engine, home):
        pass
    assert caught.value.message.startswith("the program mine cannot be observed among nodes that share the loopback")
