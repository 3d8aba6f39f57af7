"""A tracker as a process, and attackers that send it raw datagrams."""

from __future__ import annotations

import os
import re
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from tests.unit.tracker.world import Client
from torrentnet.wire.udp import packets

if TYPE_CHECKING:
    from tests.loopback.programs import Loopback, Program

DEADLINE = 60.0
OPTIONS = ("--keepalive", "1s", "--timeout", "60s")
ADDRESS = re.compile(r"127\.\d+\.\d+\.\d+")


class Attacker:
    """A socket at an address of its own; sends requests until they are answered."""

    def __init__(self, tracker: tuple[str, int], ip: str = "127.0.0.1") -> None:
        self.ip = ip
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((ip, 0))
        self.socket.connect(tracker)

    def fire(self, data: bytes) -> None:
        """Send a datagram and do not wait for an answer."""
        self.socket.send(data)

    def send(self, data: bytes, _source: tuple[str, int] = ("", 0)) -> bytes:
        """Send a request until its answer comes, and return the answer."""
        self.socket.settimeout(1)
        for _ in range(int(DEADLINE)):
            self.socket.send(data)
            try:
                while True:
                    answer = self.socket.recv(2048)
                    if answer[4:8] == data[12:16]:
                        return answer
            except TimeoutError:
                continue
        raise AssertionError("the tracker does not answer")

    def answers(self, *requests: bytes) -> list[bytes]:
        """Send requests and return all answers that come before that of a connect."""
        for data in requests:
            self.socket.send(data)
        end = struct.pack(">QII", packets.PROTOCOL_ID, 0, 0xFEEDFACE)
        self.socket.settimeout(DEADLINE)
        self.socket.send(end)
        found: list[bytes] = []
        while True:
            answer = self.socket.recv(65_535)
            if len(answer) == 16 and answer[4:8] == end[12:16]:
                return found
            found.append(answer)

    def connection(self) -> int:
        return int.from_bytes(self.send(packets.pack_connect(0x7777))[8:], "big")

    def close(self) -> None:
        self.socket.close()


class Target:
    """The tracker under attack."""

    def __init__(self, loopback: Loopback, *options: object) -> None:
        self.loopback = loopback
        self.program: Program = loopback.tracker(*OPTIONS, *options)
        host, _, port = self.program.address.rpartition(":")
        self.address = host, int(port)
        self._attackers: list[Attacker] = []

    def attacker(self, ip: str = "127.0.0.1") -> Attacker:
        attacker = Attacker(self.address, ip)
        self._attackers.append(attacker)
        return attacker

    def client(self, name: str, ip: str = "127.0.0.1", port: int = 6881, *, extended: bool = True) -> Client:
        """Return a peer that behaves."""
        return Client(self.attacker(ip), name, ip=ip, port=port, extended=extended)

    def run(self, *words: str) -> list[str]:
        """Return what a command prints."""
        status, out, err = self.loopback.ask(self.program, *words)
        assert (status, err) == (0, [])
        return out

    def peers(self) -> int:
        return sum(1 for line in self.run("peers") if ADDRESS.search(line))

    def memory(self) -> int:
        """Return the bytes of the process's own memory."""
        text = Path(f"/proc/{self.program.process.pid}/status").read_text("ascii")
        found = re.search(r"RssAnon:\s+(\d+) kB", text)
        assert found is not None
        return int(found[1]) * 1024

    def cpu(self) -> float:
        """Return the seconds that the process has computed."""
        fields = Path(f"/proc/{self.program.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def is_sound(self) -> bool:
        """Return whether the process runs, answers and has reported no trouble."""
        assert self.program.process.poll() is None
        self.attacker("127.0.0.77").connection()
        assert self.program.named("error") == []
        return "Traceback" not in "\n".join(self.program.errors)

    def close(self) -> None:
        for attacker in self._attackers:
            attacker.close()
