"""The peer. It shares a file, or gets it from a peer and shares it from then on.

usage: python3 peer.py share|get <FILENAME> <TRACKER_ADDRESS> <LISTEN_ADDRESS>
"""

import os
import random
import socket
import sys
import threading
import time

from common import decode, encode, parse_address, say

PART = 65536  # bytes that are asked for at once
KEEP_ALIVE = 5  # seconds
CONNECT_TIMEOUT = 3
RECEIVE_TIMEOUT = 5
GIVE_UP = 25  # seconds without a new part

log = []  # every response that was received


def add_log(source, text):
    log.append(f"{len(log) + 1}. {time.strftime('%H:%M:%S')} from {source}: {text}")


class Peer:
    def __init__(self, name, tracker, listen):
        self.name = name  # of the file
        self.tracker = tracker
        self.me = listen
        self.path = None  # where the file is, once it is whole
        self.size = 0
        self.parts = 0  # how many parts of the file have arrived

    # -- the tracker: UDP, every question is repeated until it is answered

    def ask_tracker(self, message, tries=5):
        number = random.randrange(1000)
        message = dict(message, number=number, peer=self.me)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for _ in range(tries):
                sock.sendto(encode(message), parse_address(self.tracker))
                until = time.time() + 1
                while time.time() < until:
                    try:
                        sock.settimeout(max(0.01, until - time.time()))
                        answer = decode(sock.recvfrom(65536)[0])
                        if answer["number"] == number:
                            return answer
                    except (OSError, ValueError, KeyError, TypeError):
                        pass  # too late or not for us
        return None

    def send_alive(self):
        file = self.name if self.path else None
        return self.ask_tracker({"type": "alive", "file": file, "size": self.size})

    def keep_alive(self):
        while True:
            time.sleep(KEEP_ALIVE)
            self.send_alive()

    # -- uploading: TCP, "GET <part> <name>" is answered by "OK <size> <length>" and the bytes

    def listen(self):
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(parse_address(self.me))
        server.listen(50)
        threading.Thread(target=self.accept, args=(server,), daemon=True).start()

    def accept(self, server):
        while True:
            conn, _ = server.accept()
            threading.Thread(target=self.upload, args=(conn,), daemon=True).start()

    def upload(self, conn):
        try:
            conn.settimeout(30)
            with conn:
                while line := self.receive_line(conn):
                    _, number, name = line.split(" ", 2)
                    path = self.find(name)
                    if path is None:
                        conn.sendall(b"ERROR no such file\n")
                        continue
                    with open(path, "rb") as file:
                        file.seek(int(number) * PART)
                        data = file.read(PART)
                    conn.sendall(b"OK %d %d\n" % (self.size, len(data)) + data)
        except (OSError, ValueError):
            pass  # the other side has gone or talks nonsense

    def find(self, name):
        """Return the path of a file that others may have: only the one that we share."""
        return self.path if name == self.name else None

    # -- downloading

    def download(self):
        request = f"{self.me}-{random.randrange(1 << 30)}"
        partial = self.name + ".part"
        with open(partial, "wb") as file:
            whole = self.get_parts(request, file)
        if whole:
            os.rename(partial, self.name)
            self.path = self.name
            self.send_alive()
        self.ask_tracker({"type": "done", "id": request, "ok": whole})
        if not whole:
            os.remove(partial)
            say(f"error: could not get {self.name}")
            os._exit(1)
        say(f"got {self.name}, {self.size} bytes; sharing it now")

    def get_parts(self, request, file):
        """Try peers until the file is whole; return whether it is."""
        last = time.time()
        while time.time() < last + GIVE_UP:
            answer = self.ask_tracker({"type": "get", "id": request, "file": self.name})
            peers = []
            if answer:
                peers = answer["peers"]
                add_log(f"tracker {self.tracker}", f"size {answer['size']}, peers {', '.join(peers) or 'none'}")
            random.shuffle(peers)
            for peer in peers:
                before = self.parts
                try:
                    self.get_parts_from(peer, file)
                    return True
                except (OSError, ValueError) as error:
                    add_log(peer, f"failed: {error}")
                    say(f"{peer} failed: {error}")
                if self.parts > before:
                    last = time.time()
            time.sleep(1)
        return False

    def get_parts_from(self, peer, file):
        with socket.create_connection(parse_address(peer), CONNECT_TIMEOUT) as sock:
            sock.settimeout(RECEIVE_TIMEOUT)
            while True:
                sock.sendall(f"GET {self.parts} {self.name}\n".encode())
                line = self.receive_line(sock)
                if not line.startswith("OK "):
                    raise ValueError(line or "connection closed")
                self.size, length = [int(word) for word in line.split()[1:]]
                data = self.receive(sock, length)
                file.seek(self.parts * PART)
                file.write(data)
                add_log(peer, f"part {self.parts} of {self.name}, {length} bytes")
                self.parts += 1
                if self.parts * PART >= self.size:
                    return

    # -- receiving: what was sent at once may arrive in pieces

    def receive_line(self, sock):
        """Return a line without its end; an empty one if the connection was closed."""
        line = b""
        while not line.endswith(b"\n"):
            byte = sock.recv(1)
            if not byte or len(line) > 1000:
                return ""
            line += byte
        return line.decode().rstrip("\n")

    def receive(self, sock, length):
        data = b""
        while len(data) < length:
            more = sock.recv(length - len(data))
            if not more:
                raise ValueError("connection closed in the middle of a part")
            data += more
        return data


def main():
    if len(sys.argv) != 5 or sys.argv[1] not in ("share", "get"):
        sys.exit("usage: peer.py share|get <FILENAME> <TRACKER_ADDRESS> <LISTEN_ADDRESS>")
    action, name, tracker, listen = sys.argv[1:]
    if name != os.path.basename(name) or name in ("", ".", ".."):
        sys.exit("error: the file must be in this directory")
    if action == "share" and not os.path.isfile(name):
        sys.exit(f"error: there is no file {name}")
    peer = Peer(name, tracker, listen)
    if action == "share":
        peer.path = name
        peer.size = os.path.getsize(name)
    try:
        peer.listen()
    except OSError as error:
        sys.exit(f"error: cannot listen at {listen}: {error}")
    if not peer.send_alive():
        say("the tracker does not answer; trying on")
    threading.Thread(target=peer.keep_alive, daemon=True).start()
    if action == "share":
        say(f"sharing {name}, {peer.size} bytes, at {listen}")
    else:
        threading.Thread(target=peer.download, daemon=True).start()
    for line in sys.stdin:
        if line.strip() == "request logs":
            say("\n".join(log) or "nothing yet")
        elif line.strip():
            say("commands: request logs")
    while True:  # no terminal: keep on sharing
        time.sleep(60)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
