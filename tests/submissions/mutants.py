"""Right programs with one fault each, as the table of docs/grading.md has it.

The marks that a mutant loses are reasoned for a rubric whose files are 1 KiB of text where nothing else is said:
``header_swallows_body`` moves whole kibibytes, ``one_recv`` moves what fits into one segment.
"""

from __future__ import annotations

from typing import Final

from tests.submissions.build import Edit, Submission

CRITERIA: Final = (*map(str, range(1, 15)), "15a", "15b", *map(str, range(16, 21)))
"""The rubric's criteria, by their ids."""


def none_of(*criteria: int | str) -> dict[str, int]:
    """Return the marks that are left of criteria which get no point."""
    return dict.fromkeys(map(str, criteria), 0)


_FORGED_PEER: Final = """\
import sys
import socket
import time

action, name, tracker, listen = sys.argv[1:]
ip, port = listen.rsplit(":", 1)
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((ip, int(port)))
server.listen()


def out(text):
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    print(now, text, flush=True)


me = "peer-" + port
out(f"listening program=peer name={me} address={listen}")
out(f"state state={action} file={name}")
if action == "get":
    out(f"lookup file={name} found=true size=1024 seeds=3 request=1")
    out(f"picked peer=peer-1 address={tracker} among=3")
    out(f"progress file={name} have=1 pieces=1 bytes=1024 size=1024")
    out(f"completed file={name} bytes=1024 ms=10 sources=peer-1:1")
out(f"state state=seed file={name}")
for line in sys.stdin:
    out(f"completed file={name} bytes=1024 ms=10 sources=peer-1:1")
time.sleep(100000)
"""
_FORGED_TRACKER: Final = """\
import sys
import socket
import time

ip, port = sys.argv[1].rsplit(":", 1)
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((ip, int(port)))


def out(text):
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    print(now, text, flush=True)


out(f"listening program=tracker name=tracker address={sys.argv[1]} keepalive_ms=5000 timeout_ms=15000")
for line in sys.stdin:
    out("outcome id=1 peer=leecher-1 file=myfile.txt result=succeeded from=seeder-1 bytes=1024 ms=10")
    out("expired file=myfile.txt peer=seeder-1")
time.sleep(100000)
"""

MUTANTS: Final[dict[str, Submission]] = {
    "eof_is_success": Submission(
        "takes the end of the connection, or silence, for the end of the file",
        (
            Edit(
                "peer.py",
                "                line = self.receive_line(sock)\n                if not",
                "                try:\n"
                "                    line = self.receive_line(sock)\n"
                "                except OSError:\n"
                '                    line = ""\n'
                "                if not line:\n"
                "                    return  # that was all\n"
                "                if not",
            ),
            Edit(
                "peer.py",
                "            more = sock.recv(length - len(data))\n"
                "            if not more:\n"
                '                raise ValueError("connection closed in the middle of a part")\n',
                "            try:\n"
                "                more = sock.recv(length - len(data))\n"
                "            except OSError:\n"
                '                more = b""\n'
                "            if not more:\n"
                "                break\n",
            ),
        ),
        left=none_of(17, 18),
    ),
    "header_swallows_body": Submission(
        "forgets what arrived together with the header of the last, short part",
        (
            Edit("peer.py", "PART = 65536", "PART = 1024"),
            Edit(
                "peer.py",
                "                line = self.receive_line(sock)\n                if not",
                '                line, _, rest = sock.recv(1024).partition(b"\\n")\n'
                "                line = line.decode()\n"
                "                if not",
            ),
            Edit(
                "peer.py",
                "                data = self.receive(sock, length)\n",
                "                if length == PART:\n"
                "                    data = rest + self.receive(sock, PART - len(rest))\n"
                "                else:\n"
                "                    data = self.receive(sock, length)\n",
            ),
        ),
        left=none_of(2, 3),
    ),
    "one_recv": Submission(
        "receives a file by one call",
        (
            Edit(
                "peer.py",
                "PART = 65536  # bytes that are asked for at once",
                "PART = 100 * 1024 * 1024  # the whole file",
            ),
            Edit(
                "peer.py",
                '        data = b""\n'
                "        while len(data) < length:\n"
                "            more = sock.recv(length - len(data))\n"
                "            if not more:\n"
                '                raise ValueError("connection closed in the middle of a part")\n'
                "            data += more\n"
                "        return data\n",
                "        return sock.recv(length)\n",
            ),
        ),
        left=none_of(3, 4, 17, 18),
    ),
    "decodes_text": Submission(
        "takes every file for text",
        (
            Edit("peer.py", 'with open(partial, "wb") as file:', 'with open(partial, "w") as file:'),
            Edit("peer.py", "file.write(data)", 'file.write(data.decode(errors="ignore"))'),
        ),
        left=none_of(3, 4),
    ),
    "size_zero": Submission(
        "answers size 0",
        (Edit("tracker.py", 'return {"type": "peers", "size": file["size"]', 'return {"type": "peers", "size": 0'),),
        left=none_of(5),
    ),
    "answers_one_peer": Submission(
        "answers one of the peers, chosen by the tracker",
        (
            Edit("tracker.py", "import socket\n", "import random\nimport socket\n"),
            Edit(
                "tracker.py",
                '        return {"type": "peers", "size": file["size"], "peers": peers}',
                "        if peers:\n"
                "            peers = [random.choice(peers)]\n"
                '        return {"type": "peers", "size": file["size"], "peers": peers}',
            ),
        ),
        left=none_of(6),
    ),
    "always_the_first_seed": Submission(
        "asks the peers in the order of the answer",
        (Edit("peer.py", "            random.shuffle(peers)\n", ""),),
        left=none_of(7),
    ),
    "exits_after_the_get": Submission(
        "ends when it has the file",
        (
            Edit(
                "peer.py",
                '        say(f"got {self.name}, {self.size} bytes; sharing it now")\n',
                '        say(f"got {self.name}, {self.size} bytes")\n        os._exit(0)\n',
            ),
        ),
        left=none_of(8, 9),
    ),
    "cannot_serve_its_own_copy": Submission(
        "announces its copy and looks for it where it is no more",
        (Edit("peer.py", "            self.path = self.name\n", "            self.path = partial\n"),),
        left=none_of(8),
    ),
    "no_keep_alive": Submission(
        "has no keep-alive; the tracker forgets everybody after a minute",
        (
            Edit("peer.py", "    threading.Thread(target=peer.keep_alive, daemon=True).start()\n", ""),
            Edit(
                "peer.py",
                "    def keep_alive(self):\n"
                "        while True:\n"
                "            time.sleep(KEEP_ALIVE)\n"
                "            self.send_alive()\n\n",
                "",
            ),
            Edit("peer.py", "KEEP_ALIVE = 5  # seconds\n", ""),
            Edit("tracker.py", "TIMEOUT = 15 ", "TIMEOUT = 60 "),
        ),
        left=none_of(10, 12),
    ),
    "never_expires": Submission(
        "never forgets a peer",
        (
            Edit(
                "tracker.py",
                "def forget_dead_peers():\n"
                "    limit = time.time() - TIMEOUT\n"
                "    for file in files.values():\n"
                '        for peer, seen in list(file["peers"].items()):\n'
                "            if seen < limit:\n"
                '                del file["peers"][peer]\n',
                "def forget_dead_peers():\n    pass  # TODO\n",
            ),
        ),
        left=none_of(11),
    ),
    "log_overwritten": Submission(
        "keeps the last request only",
        (
            Edit("tracker.py", "            requests.append(\n", "            requests[:] = [\n"),
            Edit("tracker.py", "                }\n            )\n", "                }\n            ]\n"),
        ),
        left=none_of(13),
    ),
    "deaf_after_garbage": Submission(
        "the tracker's thread dies of the first datagram that is no message",
        (
            Edit(
                "tracker.py",
                "        try:\n"
                "            message = decode(data)\n"
                "            with lock:\n"
                "                answer = handle(message)\n"
                '            answer["number"] = message["number"]\n'
                "            sock.sendto(encode(answer), sender)\n"
                "        except Exception as error:\n"
                '            say(f"bad message from {sender[0]}:{sender[1]}: {error!r}")\n',
                "        message = decode(data)\n"
                "        with lock:\n"
                "            answer = handle(message)\n"
                '        answer["number"] = message["number"]\n'
                "        sock.sendto(encode(answer), sender)\n",
            ),
        ),
        left=none_of(19),
    ),
    "opens_any_path": Submission(
        "uploads every file that it is asked for",
        (
            Edit(
                "peer.py",
                '        """Return the path of a file that others may have: only the one that we share."""\n'
                "        return self.path if name == self.name else None\n",
                "        return name if os.path.exists(name) else None\n",
            ),
        ),
        left=none_of(20),
    ),
    "forger": Submission(
        "moves nothing and prints the event lines of torrentnet's own programs",
        files={"peer.py": _FORGED_PEER, "tracker.py": _FORGED_TRACKER, "common.py": ""},
        left=none_of(*CRITERIA[1:]),
    ),
}
