"""Right programs that do things in an unusual way: each of them gets all marks."""

from __future__ import annotations

from typing import Final

from tests.submissions.build import Edit, Submission

_BINARY_WIRE: Final = '''\
"""Common things of the tracker and the peer: addresses, messages and printing.

A message is: type (1 byte), number (2), and then what the type needs.
A text is its length (1 byte) and its bytes; a peer is its IP (4) and port (2).
"""

import socket
import struct

TYPES = ["alive", "get", "done", "ok", "peers"]


def parse_address(text):
    ip, port = text.rsplit(":", 1)
    return ip, int(port)


def pack_text(text):
    data = (text or "").encode()
    return bytes([len(data)]) + data


def pack_peer(text):
    ip, port = parse_address(text)
    return socket.inet_aton(ip) + struct.pack("!H", port)


def encode(message):
    kind = message["type"]
    data = struct.pack("!BH", TYPES.index(kind), message["number"])
    if kind == "alive":
        data += pack_peer(message["peer"]) + struct.pack("!Q", message["size"]) + pack_text(message["file"])
    elif kind == "get":
        data += pack_peer(message["peer"]) + pack_text(message["id"]) + pack_text(message["file"])
    elif kind == "done":
        data += pack_peer(message["peer"]) + pack_text(message["id"]) + bytes([message["ok"]])
    elif kind == "peers":
        data += struct.pack("!QB", message["size"], len(message["peers"]))
        data += b"".join(pack_peer(peer) for peer in message["peers"])
    return data


class Reader:
    def __init__(self, data):
        self.data = data

    def bytes(self, count):
        if len(self.data) < count:
            raise ValueError("message too short")
        part, self.data = self.data[:count], self.data[count:]
        return part

    def number(self, count):
        return int.from_bytes(self.bytes(count), "big")

    def text(self):
        return self.bytes(self.number(1)).decode()

    def peer(self):
        return f"{socket.inet_ntoa(self.bytes(4))}:{self.number(2)}"


def decode(data):
    reader = Reader(data)
    kind = reader.number(1)
    if kind >= len(TYPES):
        raise ValueError("unknown type")
    message = {"type": TYPES[kind], "number": reader.number(2)}
    if kind == 0:
        message["peer"] = reader.peer()
        message["size"] = reader.number(8)
        message["file"] = reader.text() or None
    elif kind == 1:
        message["peer"] = reader.peer()
        message["id"] = reader.text()
        message["file"] = reader.text()
    elif kind == 2:
        message["peer"] = reader.peer()
        message["id"] = reader.text()
        message["ok"] = bool(reader.number(1))
    elif kind == 4:
        message["size"] = reader.number(8)
        message["peers"] = [reader.peer() for _ in range(reader.number(1))]
    return message


def say(text):
    print(text, flush=True)
'''
_BINARY_REQUEST: Final = (
    Edit("peer.py", "import socket\n", "import socket\nimport struct\n"),
    Edit(
        "peer.py",
        '"GET <part> <name>" is answered by "OK <size> <length>" and the bytes',
        "part (4 bytes), length of name (1), name; answer: size (8), length (4), the bytes",
    ),
    Edit(
        "peer.py",
        "                while line := self.receive_line(conn):\n"
        '                    _, number, name = line.split(" ", 2)\n',
        "                while True:\n"
        '                    number, length = struct.unpack("!IB", self.receive(conn, 5))\n'
        "                    name = self.receive(conn, length).decode()\n",
    ),
    Edit("peer.py", '                        conn.sendall(b"ERROR no such file\\n")\n', ""),
    Edit("peer.py", "                        continue\n", "                        return\n"),
    Edit("peer.py", "file.seek(int(number) * PART)", "file.seek(number * PART)"),
    Edit("peer.py", 'b"OK %d %d\\n" % (self.size, len(data))', 'struct.pack("!QI", self.size, len(data))'),
    Edit(
        "peer.py",
        '                sock.sendall(f"GET {self.parts} {self.name}\\n".encode())\n'
        "                line = self.receive_line(sock)\n"
        '                if not line.startswith("OK "):\n'
        '                    raise ValueError(line or "connection closed")\n'
        "                self.size, length = [int(word) for word in line.split()[1:]]\n",
        "                name = self.name.encode()\n"
        '                sock.sendall(struct.pack("!IB", self.parts, len(name)) + name)\n'
        '                self.size, length = struct.unpack("!QI", self.receive(sock, 12))\n',
    ),
    Edit(
        "peer.py",
        "    def receive_line(self, sock):\n"
        '        """Return a line without its end; an empty one if the connection was closed."""\n'
        '        line = b""\n'
        '        while not line.endswith(b"\\n"):\n'
        "            byte = sock.recv(1)\n"
        "            if not byte or len(line) > 1000:\n"
        '                return ""\n'
        "            line += byte\n"
        '        return line.decode().rstrip("\\n")\n\n',
        "",
    ),
)


def _in_a_child(program: str) -> str:
    return f'''\
import os
import subprocess
import sys

worker = os.path.join(os.path.dirname(os.path.abspath(__file__)), "{program}_worker.py")
sys.exit(subprocess.call([sys.executable, worker] + sys.argv[1:]))
'''


_GERMAN_TRACKER: Final = {
    "is getting it": "lädt noch",
    '"got it" if message["ok"] else "did not get it"': '"erhalten" if message["ok"] else "nicht erhalten"',
    "bad message from": "unverständliche Nachricht von",
    '"nobody"\n            say(': '"niemand"\n            say(',
    "asked for": "möchte",
    "had it:": "vorhanden bei:",
    " bytes): {', '.join(file['peers']) or 'nobody'}": " Byte): {', '.join(file['peers']) or 'niemand'}",
    "error: there is no file {words[1]}": "Fehler: Datei {words[1]} gibt es nicht",
    'say("commands: request': 'say("Befehle: request',
    "tracker at {sys": "Tracker läuft auf {sys",
}
_GERMAN_PEER: Final = {
    "from {source}": "von {source}",
    "could not get {self.name}": "{self.name} konnte nicht geladen werden",
    "got {self.name}, {self.size} bytes; sharing it now": "{self.name} erhalten ({self.size} Byte)",
    "size {answer['size']}, peers {', '.join(peers) or 'none'}": "Größe {answer['size']}, bei {', '.join(peers)}",
    'add_log(peer, f"failed: {error}")': 'add_log(peer, f"gescheitert: {error}")',
    'say(f"{peer} failed: {error}")': 'say(f"{peer} gescheitert: {error}")',
    "part {self.parts} of {self.name}, {length} bytes": "Teil {self.parts} von {self.name}, {length} Byte",
    "the tracker does not answer; trying on": "der Tracker antwortet nicht, neuer Versuch folgt",
    "sharing {name}, {peer.size} bytes, at {listen}": "verteile {name}, {peer.size} Byte, auf {listen}",
    "nothing yet": "noch nichts",
    "commands: request logs": "Befehle: request logs",
    "error: {self": "Fehler: {self",
}

ODD: Final[dict[str, Submission]] = {
    "binds_loopback": Submission(
        "listens at 127.0.0.1, whatever the address on its command line is",
        (
            Edit("tracker.py", "sock.bind(address)", 'sock.bind(("127.0.0.1", address[1]))'),
            Edit(
                "peer.py",
                "server.bind(parse_address(self.me))",
                'server.bind(("127.0.0.1", parse_address(self.me)[1]))',
            ),
        ),
    ),
    "saves_in_a_subfolder": Submission(
        "saves what it gets in the folder downloads",
        (
            Edit(
                "peer.py",
                '        partial = self.name + ".part"\n',
                '        os.makedirs("downloads", exist_ok=True)\n'
                '        target = os.path.join("downloads", self.name)\n'
                '        partial = target + ".part"\n',
            ),
            Edit("peer.py", "os.rename(partial, self.name)", "os.rename(partial, target)"),
            Edit("peer.py", "            self.path = self.name\n", "            self.path = target\n"),
        ),
    ),
    "binary_wire": Submission(
        "packs its messages: no address, number or name is text, besides the names of files",
        _BINARY_REQUEST,
        files={"common.py": _BINARY_WIRE},
    ),
    "never_flushes": Submission(
        "never flushes what it prints",
        (Edit("common.py", "print(text, flush=True)", "print(text)"),),
    ),
    "child_process": Submission(
        "works in a child process; its parent waits",
        renamed={"tracker.py": "tracker_worker.py", "peer.py": "peer_worker.py"},
        files={"tracker.py": _in_a_child("tracker"), "peer.py": _in_a_child("peer")},
    ),
    # Of our own.
    "windows_paths": Submission(
        "writes paths as on Windows: a backslash becomes part of the file name",
        (
            Edit(
                "peer.py",
                '        partial = self.name + ".part"\n',
                '        target = ".\\\\" + self.name\n        partial = target + ".part"\n',
            ),
            Edit("peer.py", "os.rename(partial, self.name)", "os.rename(partial, target)"),
            Edit("peer.py", "            self.path = self.name\n", "            self.path = target\n"),
        ),
    ),
    "no_retry_over_udp": Submission(
        "asks the tracker once, and waits for the answer",
        (
            Edit("peer.py", "message, tries=5)", "message, tries=1)"),
            Edit("peer.py", "every question is repeated until it is answered", "one question, one answer"),
        ),
    ),
    "another_language": Submission(
        "speaks German, with letters that are not ASCII",
        (
            *(Edit("tracker.py", old, new) for old, new in _GERMAN_TRACKER.items()),
            *(Edit("peer.py", old, new) for old, new in _GERMAN_PEER.items()),
        ),
    ),
    "ignores_sigterm": Submission(
        "ignores SIGTERM, SIGINT and SIGHUP",
        tuple(
            edit
            for file in ("tracker.py", "peer.py")
            for edit in (
                Edit(file, "import socket\n", "import signal\nimport socket\n"),
                Edit(
                    file,
                    "def main():\n",
                    "def main():\n"
                    "    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):\n"
                    "        signal.signal(number, signal.SIG_IGN)  # so that nobody ends it by mistake\n",
                ),
            )
        ),
    ),
}
