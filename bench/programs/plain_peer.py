"""The simplest possible transfer in Python, as a lower bound.

It uses one connection, one thread, and no protocol.

``plain_peer.py seed FILE ADDRESS PORT`` sends the file to whoever connects, by sendfile(2).
``plain_peer.py get ADDRESS PORT FILE HASHES PIECE_LENGTH`` receives it into one buffer, checks the SHA-1 of each piece,
writes the piece to its place, and prints a line of JSON with its times.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path


def seed(path: str, address: str, port: int) -> None:
    """Serve for ever, one after the other."""
    with open(path, "rb") as file, socket.create_server((address, port)) as server:
        print("ready", flush=True)
        while True:
            connection, _ = server.accept()
            with connection:
                file.seek(0)
                connection.sendfile(file)


def get(address: str, port: int, path: str, hashes: bytes, piece_length: int) -> None:
    """Receive, check and write all of it."""
    buffer = memoryview(bytearray(piece_length))
    begin = time.time()
    first = 0.0
    done = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    with socket.create_connection((address, port)) as connection:
        for at in range(0, len(hashes), 20):
            filled = 0
            while filled < piece_length and (count := connection.recv_into(buffer[filled:])):
                first = first or time.time()
                filled += count
            piece = buffer[:filled]
            if hashlib.sha1(piece, usedforsecurity=False).digest() != hashes[at : at + 20]:
                sys.exit(f"piece {at // 20} is wrong")
            if os.pwrite(descriptor, piece, done) != filled:
                sys.exit("a short write")
            done += filled
    os.close(descriptor)
    print(json.dumps({"begin": begin, "first": first, "end": time.time(), "bytes": done}), flush=True)


if sys.argv[1] == "seed":
    seed(sys.argv[2], sys.argv[3], int(sys.argv[4]))
else:
    get(sys.argv[2], int(sys.argv[3]), sys.argv[4], Path(sys.argv[5]).read_bytes(), int(sys.argv[6]))
    signal.pause()  # so that what it has used can be read
