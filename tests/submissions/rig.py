"""Run submissions as processes on 127.0.0.0/8, and watch them from outside.

Each node has an address of its own and a terminal. All datagrams between tracker and peers pass a relay that keeps
them. Waiting times of the programs are shortened in their text, since nobody may wait for minutes here.
"""

from __future__ import annotations

import contextlib
import os
import pty
import random
import re
import selectors
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.submissions.build import Submission

SHORTER: Final = {"KEEP_ALIVE": 5.0, "TIMEOUT": 5.0, "CONNECT_TIMEOUT": 2.0, "RECEIVE_TIMEOUT": 2.0, "GIVE_UP": 3.0}
"""By how much a constant of the programs is divided."""


def wait_for(condition: Callable[[], object], patience: float) -> bool:
    """Return whether the condition holds before the patience is over."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.03)
    return True


def shorten(text: str) -> str:
    """Divide the waiting times in a program's text."""

    def divided(found: re.Match[str]) -> str:
        return f"{found[1]} = {int(found[2]) / SHORTER[found[1]]}"

    return re.sub(rf"^({'|'.join(SHORTER)}) = (\d+)", divided, text, flags=re.M)


def shows_number(data: bytes, number: int, width: int) -> bool:
    """Return whether a datagram has a number, as text or packed."""
    return str(number).encode() in data or number.to_bytes(width, "big") in data


def endpoint(address: str) -> tuple[str, int]:
    """Return IP and port of an address."""
    ip, _, port = address.partition(":")
    return ip, int(port)


class Node:
    """One program on a terminal of its own."""

    def __init__(self, arguments: list[str], folder: Path, address: str) -> None:
        self.folder = folder
        self.address = address
        self.port = int(address.rpartition(":")[2])
        self.output = b""
        self._terminal, slave = pty.openpty()
        modes = termios.tcgetattr(slave)
        modes[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, modes)
        self.process = subprocess.Popen(
            [sys.executable, "-B", *arguments],
            cwd=folder,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "TERM": "dumb"},
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the terminal's other side is closed
            while data := os.read(self._terminal, 65536):
                self.output += data

    @property
    def text(self) -> str:
        """Everything that the program has printed."""
        return self.output.decode("utf-8", "replace").replace("\r\n", "\n")

    def type(self, command: str, wanted: Callable[[str], bool], patience: float) -> str:
        """Type a command; return the answer so far when it is the wanted one, or late."""
        before = len(self.output)

        def answer() -> str:
            return self.output[before:].decode("utf-8", "replace").replace("\r\n", "\n")

        with contextlib.suppress(OSError):  # the program has ended
            os.write(self._terminal, command.encode() + b"\n")
        wait_for(lambda: wanted(answer()), patience)
        return answer()

    @property
    def status(self) -> int | None:
        """Return the exit status; None while the program runs."""
        return self.process.poll()

    def listens(self) -> bool:
        """Return whether the node accepts TCP connections."""
        try:
            socket.create_connection(endpoint(self.address), 5).close()
        except OSError:
            return False
        return True

    def has(self, content: bytes) -> bool:
        """Return whether a file below the node's folder has this content."""
        for path in self.folder.rglob("*"):
            with contextlib.suppress(OSError):  # renamed just now
                if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
                    return True
        return False

    def peak_memory(self) -> int:
        """Return the most bytes of memory that the program had at once."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii", "replace")
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024

    def kill(self) -> None:
        """Kill the program with its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """Kill the program and close its terminal."""
        self.kill()
        self._reader.join()
        os.close(self._terminal)


class Relay:
    """Forward datagrams between peers and the tracker, and keep them."""

    def __init__(self, address: str, tracker: str) -> None:
        self.asked: list[tuple[tuple[str, int], bytes]] = []
        self.answers: list[tuple[tuple[str, int], bytes]] = []
        self.address = address
        self._tracker = endpoint(tracker)
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind(endpoint(address))
        self._backs: dict[tuple[str, int], socket.socket] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._front, selectors.EVENT_READ)
            while not self._end.is_set():
                for key, _ in selector.select(0.2):
                    with contextlib.suppress(ConnectionError):  # the tracker has not bound its socket yet
                        if key.data is None:
                            data, client = self._front.recvfrom(65536)
                            self.asked.append((client, data))
                            if client not in self._backs:
                                self._backs[client] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                                self._backs[client].connect(self._tracker)
                                selector.register(self._backs[client], selectors.EVENT_READ, client)
                            self._backs[client].send(data)
                        else:
                            data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                            self.answers.append((key.data, data))
                            self._front.sendto(data, key.data)

    def knows(self, port: int) -> bool:
        """Return whether the tracker has answered a peer that listens at this port."""
        clients = {client for client, data in list(self.asked) if shows_number(data, port, 2)}
        return any(client in clients for client, _ in list(self.answers))

    def close(self) -> None:
        """End the thread and close all sockets."""
        self._end.set()
        self._thread.join()
        for sock in [self._front, *self._backs.values()]:
            sock.close()


class Lab:
    """A tracker and peers of one submission."""

    def __init__(
        self, submission: Submission, directory: Path, *, patience: float, slow: bool = False, loopback: bool = False
    ) -> None:
        self.directory = directory
        self.patience = patience
        self._source = submission.write(directory / "program")
        for path in self._source.glob("*.py"):
            text = shorten(path.read_text("utf-8"))
            if slow:  # a seed can be killed before it has sent the file
                text = text.replace("data = file.read(PART)", "time.sleep(0.1)\n" + 24 * " " + "data = file.read(PART)")
            path.write_text(text, "utf-8")
        numbers = random.SystemRandom()
        # A network that nobody else is likely to use; on 127.0.0.1, such a range of ports.
        self._block = "" if loopback else f"127.{numbers.randrange(16, 250)}.{numbers.randrange(250)}"
        self._ports = numbers.randrange(10000, 30000, 50)
        self.nodes: list[Node] = []
        self.tracker = self._start("tracker.py", [self._address(2)])
        self.relay = Relay(self._address(1), self.tracker.address)

    def _address(self, number: int) -> str:
        return f"{self._block}.{number}:{self._ports + number}" if self._block else f"127.0.0.1:{self._ports + number}"

    def _start(self, program: str, arguments: list[str], content: bytes = b"", name: str = "") -> Node:
        number = len(self.nodes) + 2
        folder = self.directory / str(number)
        folder.mkdir()
        if content:
            (folder / name).write_bytes(content)
        node = Node([str(self._source / program), *arguments], folder, self._address(number))
        self.nodes.append(node)
        return node

    def _peer(self, action: str, name: str, content: bytes = b"") -> Node:
        address = self._address(len(self.nodes) + 2)
        return self._start("peer.py", [action, name, self.relay.address, address], content, name)

    def share(self, name: str, content: bytes) -> Node:
        """Start a seed, and wait until the tracker knows it."""
        node = self._peer("share", name, content)
        wait_for(lambda: node.status is not None or (self.relay.knows(node.port) and node.listens()), self.patience)
        return node

    def get(self, name: str) -> Node:
        """Start a leecher."""
        return self._peer("get", name)

    def close(self) -> None:
        """Kill everything."""
        for node in self.nodes:
            node.close()
        self.relay.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
