"""One small check for each criterion of the rubric, on processes without a lab.

A check returns the part of the points that the submission gets: 0.0 to 1.0. It proves that a mutant has its fault, and
that the right program has not; it is no grader.
"""

from __future__ import annotations

import random
import re
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.submissions.mutants import CRITERIA
from tests.submissions.rig import Lab, Node, endpoint, shows_number, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.submissions.build import Submission

NAME: Final = "myfile.txt"
SMALL: Final = (b"The quick brown fox jumps over the lazy dog. 0123456789\n" * 20)[:1024]
BIG_TEXT: Final = SMALL * 2048


def _binary(size: int) -> bytes:
    return random.Random(size).randbytes(size)


class Checks:
    """The checks of one submission."""

    def __init__(self, submission: Submission, directory: Path, *, right: bool, loopback: bool) -> None:
        self.submission = submission
        self.loopback = loopback
        self.directory = directory
        self.patience = 40.0 if right else 10.0
        """How long something is awaited that a right program does."""

    def lab(self, *, slow: bool = False) -> Lab:
        """Start the tracker."""
        lab = Lab(self.submission, self.directory, patience=self.patience, slow=slow, loopback=self.loopback)
        tracker = lab.tracker
        packed = f":{tracker.port:04X}"
        wait_for(lambda: packed in Path("/proc/net/udp").read_text("ascii"), self.patience)
        return lab

    def gets(self, lab: Lab, content: bytes) -> bool:
        """Return whether a new leecher gets the file."""
        return self.has(lab, lab.get(NAME), content)

    def has(self, lab: Lab, node: Node, content: bytes) -> bool:
        """Return whether a leecher has the file, at last."""
        wait_for(lambda: node.has(content) or node.status not in {None, 0}, lab.patience)
        return node.has(content)

    def offered(self, lab: Lab, seed: Node) -> bool:
        """Return whether a new leecher is offered a seed."""
        before = len(lab.relay.answers)
        node = lab.get(NAME)
        wait_for(lambda: self.answers(lab, node, before), lab.patience)
        time.sleep(0.3)
        return any(shows_number(data, seed.port, 2) for data in self.answers(lab, node, before))

    def answers(self, lab: Lab, node: Node, since: int = 0) -> list[bytes]:
        """Return the tracker's answers to a node's questions that name the file."""
        questions = list(lab.relay.asked)
        clients = {client for client, data in questions if shows_number(data, node.port, 2) and NAME.encode() in data}
        return [data for client, data in lab.relay.answers[since:] if client in clients]

    # -- 1 to 4: files move

    def c1(self) -> float:
        """The programs listen at their addresses and stay alive."""
        with self.lab() as lab:
            seed = lab.share(NAME, SMALL)
            return float(wait_for(seed.listens, lab.patience) and seed.status is None and lab.tracker.status is None)

    def moves(self, content: bytes) -> float:
        """A seed and a leecher."""
        with self.lab() as lab:
            lab.share(NAME, content)
            return float(self.gets(lab, content))

    def c2(self) -> float:
        """14 bytes."""
        return self.moves(_binary(14))

    def c3(self) -> float:
        """1 MiB and 7 bytes."""
        return self.moves(_binary(1024 * 1024 + 7))

    def c4(self) -> float:
        """32 MiB in little memory, within 60 seconds by the speed of the first 1 MiB."""
        content = _binary(32 * 1024 * 1024)
        with self.lab() as lab:
            lab.share(NAME, content)
            node = lab.get(NAME)
            if not wait_for(lambda: node.has(content), lab.patience):
                return 0.0
            return float(node.peak_memory() < 200 * 1024 * 1024)

    # -- 5 to 7: the tracker's answer

    def c5(self) -> float:
        """The answer has the size."""
        with self.lab() as lab:
            content = _binary(54321)
            lab.share(NAME, content)
            node = lab.get(NAME)
            wait_for(lambda: node.has(content), lab.patience)
            return float(any(shows_number(data, len(content), 4) for data in self.answers(lab, node)))

    def c6(self) -> float:
        """One answer lists all seeds."""
        with self.lab() as lab:
            seeds = [lab.share(NAME, SMALL) for _ in range(3)]
            node = lab.get(NAME)
            self.has(lab, node, SMALL)
            return float(
                any(all(shows_number(data, seed.port, 2) for seed in seeds) for data in self.answers(lab, node))
            )

    def c7(self) -> float:
        """At least two of three seeds are used."""
        with self.lab() as lab:
            for _ in range(3):
                lab.share(NAME, SMALL)
            nodes = [lab.get(NAME) for _ in range(12)]
            sources = set()
            for node in nodes:
                self.has(lab, node, SMALL)
                answer = node.type("request logs", lambda text: "part 0" in text, lab.patience)
                sources |= set(re.findall(r"from (\S+): part 0", answer))
            return float(len(sources) > 1)

    # -- 8 to 12: who is there

    def c8(self) -> float:
        """A leecher serves when the first seed is dead."""
        with self.lab() as lab:
            seed = lab.share(NAME, SMALL)
            node = lab.get(NAME)
            assert self.has(lab, node, SMALL)
            wait_for(lambda: NAME in node.text, lab.patience)  # it has told the tracker, too
            seed.kill()
            return float(self.gets(lab, SMALL))

    def c9(self) -> float:
        """A leecher stays open."""
        with self.lab() as lab:
            lab.share(NAME, SMALL)
            node = lab.get(NAME)
            assert self.has(lab, node, SMALL)
            time.sleep(2)
            return float(node.status is None and node.listens())

    def c10(self) -> float:
        """Some packet within 45 seconds, a fifth of it here."""
        with self.lab() as lab:
            lab.share(NAME, SMALL)
            before = len(lab.relay.asked)
            return float(wait_for(lambda: len(lab.relay.asked) > before, 9))

    def c11(self) -> float:
        """A dead seed is not offered 75 seconds after its death, a fifth of it here."""
        with self.lab() as lab:
            seed = lab.share(NAME, SMALL)
            lab.share(NAME, SMALL)
            seed.kill()
            time.sleep(15)
            return float(not self.offered(lab, seed))

    def c12(self) -> float:
        """A living seed is offered after 90 seconds, a fifth of it here."""
        with self.lab() as lab:
            seed = lab.share(NAME, SMALL)
            time.sleep(18)
            return float(self.offered(lab, seed))

    # -- 13 to 16: consoles

    def c13(self) -> float:
        """`request logs` has two requests, and the first one does not change."""
        with self.lab() as lab:
            lab.share(NAME, SMALL)
            nodes: list[Node] = []
            original = first = ""
            for _ in range(2):
                nodes.append(lab.get(NAME))
                self.has(lab, nodes[-1], SMALL)
                wait_for(lambda: NAME in nodes[-1].text, lab.patience)  # it has told the tracker, too
                answer = lab.tracker.type("request logs", lambda text: all(n.address in text for n in nodes), 5)
                if not all(node.address in answer for node in nodes):
                    return 0.0
                first = next(line for line in answer.split("\n") if nodes[0].address in line)
                original = original or first
            return float(first == original)

    def c14(self) -> float:
        """`file_logs -all` has names and holders."""
        return self.console("file_logs -all")

    def c15a(self) -> float:
        """`file_logs` of a known file."""
        return self.console(f"file_logs {NAME}")

    def c15b(self) -> float:
        """`file_logs` of an unknown file."""
        with self.lab() as lab:
            lab.share(NAME, SMALL)
            return float(bool(lab.tracker.type("file_logs nobody.txt", bool, 3).strip()))

    def console(self, command: str) -> float:
        """Return whether the tracker's answer has the file and its holder."""
        with self.lab() as lab:
            seed = lab.share(NAME, SMALL)

            def wanted(text: str) -> bool:
                return NAME in text and seed.address in text

            return float(wanted(lab.tracker.type(command, wanted, min(5, lab.patience))))

    def c16(self) -> float:
        """The peer's `request logs` names the source."""
        with self.lab() as lab:
            seed = lab.share(NAME, SMALL)
            node = lab.get(NAME)
            assert self.has(lab, node, SMALL)
            return float(seed.address in node.type("request logs", lambda text: seed.address in text, 5))

    # -- 17 and 18: a seed dies

    def dies_at_half(self, seeds: int) -> tuple[Lab, Node]:
        """Kill the source of a leecher after some parts, and await what the leecher does."""
        lab = self.lab(slow=True)
        nodes = [lab.share(NAME, BIG_TEXT) for _ in range(seeds)]
        leecher = lab.get(NAME)
        whole = leecher.folder / NAME

        def ended() -> bool:
            return leecher.status is not None or leecher.has(BIG_TEXT) or whole.exists()

        def some_parts() -> bool:
            return any(path.stat().st_size > 3 * 65536 for path in leecher.folder.rglob("*.part"))

        wait_for(lambda: ended() or some_parts(), lab.patience)
        for node in [node for node in nodes if _connected(node)]:
            node.kill()
        wait_for(ended, lab.patience)
        return lab, leecher

    def c17(self) -> float:
        """The only seed dies: the leecher says so."""
        lab, leecher = self.dies_at_half(1)
        with lab:
            return float(leecher.status not in {None, 0})

    def c18(self) -> float:
        """One of two seeds dies: the leecher gets the file, or says that it does not."""
        lab, leecher = self.dies_at_half(2)
        with lab:
            return 1.0 if leecher.has(BIG_TEXT) else 0.5 if leecher.status not in {None, 0} else 0.0

    # -- 19 and 20: strangers

    def c19(self) -> float:
        """Garbage does not hurt the tracker."""
        with self.lab() as lab:
            lab.share(NAME, SMALL)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                for data in (b"", b"\0", b"\xff" * 1400, b"[" * 1400, b'{"type": "get"}', b"null"):
                    sock.sendto(data, endpoint(lab.tracker.address))
            return float(self.gets(lab, SMALL))

    def c20(self) -> float:
        """A seed does not upload files of other folders."""
        with self.lab() as lab:
            seed = lab.share(NAME, SMALL)
            (lab.directory / "secret.txt").write_bytes(b"secret")
            with socket.create_connection(endpoint(seed.address), 10) as sock:
                sock.sendall(b"GET 0 ../secret.txt\n")
                sock.settimeout(10)
                answer = b""
                while not answer.endswith((b"secret", b"no such file\n")) and (more := sock.recv(1000)):
                    answer += more
            assert answer
            return float(b"secret" not in answer)


CHECKS: Final[dict[str, Callable[[Checks], float]]] = {name: getattr(Checks, f"c{name}") for name in CRITERIA}


def _connected(node: Node) -> bool:
    """Return whether somebody has a TCP connection to a node."""
    local = f"{socket.inet_aton(endpoint(node.address)[0])[::-1].hex().upper()}:{node.port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    return any(words[1] == local and words[3] == "01" for words in lines)
