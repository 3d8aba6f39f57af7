"""The tracker. It knows which peer has which file.

usage: python3 tracker.py <IP:PORT>
"""

import socket
import sys
import threading
import time

from common import decode, encode, parse_address, say

TIMEOUT = 15  # seconds; a peer that sends nothing for so long is gone

files = {}  # file name -> {"size": bytes, "peers": {peer: time of its last message}}
requests = []  # one dictionary for each request of a peer
lock = threading.Lock()


def forget_dead_peers():
    limit = time.time() - TIMEOUT
    for file in files.values():
        for peer, seen in list(file["peers"].items()):
            if seen < limit:
                del file["peers"][peer]


def handle(message):
    """Return the answer to a message of a peer."""
    forget_dead_peers()
    if message["type"] == "alive":
        # The keep-alive of a peer. It names the file if the peer has it whole.
        if message["file"] is not None:
            file = files.setdefault(message["file"], {"size": 0, "peers": {}})
            file["size"] = int(message["size"])
            file["peers"][message["peer"]] = time.time()
        return {"type": "ok"}
    if message["type"] == "get":
        file = files.get(message["file"], {"size": 0, "peers": {}})
        peers = [peer for peer in file["peers"] if peer != message["peer"]]
        # A peer repeats its request if the answer was lost: log it once.
        if message["id"] not in [request["id"] for request in requests]:
            requests.append(
                {
                    "id": message["id"],
                    "time": time.strftime("%H:%M:%S"),
                    "peer": message["peer"],
                    "file": message["file"],
                    "peers": peers,
                    "result": "is getting it",
                }
            )
        return {"type": "peers", "size": file["size"], "peers": peers}
    if message["type"] == "done":
        for request in requests:
            if request["id"] == message["id"]:
                request["result"] = "got it" if message["ok"] else "did not get it"
        return {"type": "ok"}
    raise ValueError("unknown type")


def serve(sock):
    while True:
        data, sender = sock.recvfrom(65536)
        try:
            message = decode(data)
            with lock:
                answer = handle(message)
            answer["number"] = message["number"]
            sock.sendto(encode(answer), sender)
        except Exception as error:
            say(f"bad message from {sender[0]}:{sender[1]}: {error!r}")


def print_requests(wanted=None):
    for number, request in enumerate(requests, 1):
        if wanted is None or request["file"] == wanted:
            holders = ", ".join(request["peers"]) or "nobody"
            say(
                f"{number}. {request['time']} {request['peer']} asked for {request['file']}; "
                f"had it: {holders}; {request['result']}"
            )


def print_file(name):
    file = files[name]
    say(f"{name} ({file['size']} bytes): {', '.join(file['peers']) or 'nobody'}")


def command(line):
    words = line.split(None, 1)
    with lock:
        forget_dead_peers()
        if line == "request logs":
            print_requests()
        elif line == "file_logs -all":
            for name in files:
                print_file(name)
        elif words[0] == "file_logs" and len(words) == 2:
            if words[1] not in files:
                say(f"error: there is no file {words[1]}")
            else:
                print_file(words[1])
                print_requests(words[1])
        else:
            say("commands: request logs, file_logs -all, file_logs <file_name>")


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: tracker.py <IP:PORT>")
    address = parse_address(sys.argv[1])
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.bind(address)
    except OSError as error:
        sys.exit(f"error: cannot listen at {sys.argv[1]}: {error}")
    say(f"tracker at {sys.argv[1]}")
    threading.Thread(target=serve, args=(sock,), daemon=True).start()
    for line in sys.stdin:
        if line.strip():
            command(line.strip())
    while True:  # no terminal: keep on serving
        time.sleep(60)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
