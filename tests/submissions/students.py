"""More right programs with one fault each: what students hand in, too."""

from __future__ import annotations

from typing import Final

from tests.submissions.build import Edit, Submission
from tests.submissions.mutants import none_of

_FAILURE: Final = (
    "                except (OSError, ValueError) as error:\n"
    '                    add_log(peer, f"failed: {error}")\n'
    '                    say(f"{peer} failed: {error}")\n'
)
_MINUTE: Final = Edit("tracker.py", "TIMEOUT = 15 ", "TIMEOUT = 60 ")

STUDENTS: Final[dict[str, Submission]] = {
    "memory_for_the_whole_file": Submission(
        "keeps the file as a list of numbers until it is whole: 8 bytes for each of its bytes",
        (
            Edit(
                "peer.py",
                "        self.parts = 0  # how many parts of the file have arrived\n",
                "        self.parts = 0  # how many parts of the file have arrived\n        self.content = []\n",
            ),
            Edit(
                "peer.py",
                "                file.seek(self.parts * PART)\n                file.write(data)\n",
                "                self.content.extend(data)\n",
            ),
            Edit(
                "peer.py",
                "            whole = self.get_parts(request, file)\n",
                "            whole = self.get_parts(request, file)\n            file.write(bytes(self.content))\n",
            ),
        ),
        left=none_of(4),
    ),
    "wrong_endianness": Submission(
        "packs the number of a part little-endian and unpacks it big-endian: part 0 alone is right",
        (
            Edit("peer.py", "import socket\n", "import socket\nimport struct\n"),
            Edit(
                "peer.py",
                '                sock.sendall(f"GET {self.parts} {self.name}\\n".encode())\n',
                '                sock.sendall(struct.pack("I", self.parts) + f"GET {self.name}\\n".encode())\n',
            ),
            Edit(
                "peer.py",
                "                while line := self.receive_line(conn):\n"
                '                    _, number, name = line.split(" ", 2)\n',
                "                while True:\n"
                '                    (number,) = struct.unpack("!I", self.receive(conn, 4))\n'
                "                    line = self.receive_line(conn)\n"
                '                    _, name = line.split(" ", 1)\n',
            ),
            Edit("peer.py", "file.seek(int(number) * PART)", "file.seek(min(number * PART, self.size))"),
            Edit("peer.py", '"GET <part> <name>" is answered', "<part> and the name are answered"),
        ),
        left=none_of(3, 4, 17, 18),
    ),
    "blocks_on_one_dead_seed": Submission(
        "once a part has arrived, waits for that seed for ever",
        (
            Edit(
                "peer.py",
                "        while time.time() < last + GIVE_UP:\n",
                "        while self.source or time.time() < last + GIVE_UP:\n",
            ),
            Edit(
                "peer.py",
                "        self.parts = 0  # how many parts of the file have arrived\n",
                "        self.parts = 0  # how many parts of the file have arrived\n"
                "        self.source = None  # the peer that we get it from\n",
            ),
            Edit(
                "peer.py",
                "            random.shuffle(peers)\n",
                "            random.shuffle(peers)\n"
                "            if self.source:\n"
                "                peers = [self.source]  # the others may have another file\n",
            ),
            Edit(
                "peer.py",
                _FAILURE,
                "                except (OSError, ValueError):\n"
                "                    if self.source:\n"
                "                        break  # wait for it\n",
            ),
            Edit(
                "peer.py",
                "                self.parts += 1\n",
                "                self.parts += 1\n                self.source = peer\n",
            ),
        ),
        left=none_of(17, 18),
    ),
    "zombie_thread": Submission(
        "the thread of the download ends without a word, the process stays",
        (
            Edit(
                "peer.py",
                _FAILURE,
                "                except (OSError, ValueError):\n                    pass  # the next one\n",
            ),
            Edit(
                "peer.py",
                '        self.ask_tracker({"type": "done", "id": request, "ok": whole})\n'
                "        if not whole:\n"
                "            os.remove(partial)\n"
                '            say(f"error: could not get {self.name}")\n'
                "            os._exit(1)\n"
                '        say(f"got {self.name}, {self.size} bytes; sharing it now")\n',
                '            self.ask_tracker({"type": "done", "id": request, "ok": whole})\n'
                '            say(f"got {self.name}, {self.size} bytes; sharing it now")\n',
            ),
        ),
        left=none_of(17),
    ),
    "gives_up_honestly": Submission(
        "says that a seed was lost, and does not try another one",
        (
            Edit(
                "peer.py",
                "                if self.parts > before:\n                    last = time.time()\n",
                "                if self.parts > before:\n                    return False\n",
            ),
        ),
        left={"18": 3},
    ),
    "never_registers_its_copy": Submission(
        "the tracker is not told that the leecher has the file now",
        (
            Edit("peer.py", "            self.path = self.name\n            self.send_alive()\n", ""),
            Edit("peer.py", "bytes; sharing it now", "bytes"),
        ),
        left=none_of(8),
    ),
    "sleeps_between_parts": Submission(
        "sleeps after each part that it uploads",
        (
            Edit(
                "peer.py",
                '                    conn.sendall(b"OK %d %d\\n" % (self.size, len(data)) + data)\n',
                '                    conn.sendall(b"OK %d %d\\n" % (self.size, len(data)) + data)\n'
                "                    time.sleep(0.15)  # do not flood the network\n",
            ),
        ),
        left=none_of(4),
    ),
    "forgets_the_living": Submission(
        "its keep-alive does not name the file, so that the tracker forgets that the peer has it",
        (
            Edit(
                "peer.py",
                "            time.sleep(KEEP_ALIVE)\n            self.send_alive()\n",
                "            time.sleep(KEEP_ALIVE)\n"
                '            self.ask_tracker({"type": "alive", "file": None, "size": 0})\n',
            ),
            _MINUTE,
        ),
        left=none_of(12),
    ),
    "expires_too_late": Submission(
        "forgets a dead peer after two minutes",
        (Edit("tracker.py", "TIMEOUT = 15 ", "TIMEOUT = 120 "),),
        left=none_of(11),
    ),
    "keep_alive_too_rare": Submission(
        "sends a keep-alive every two minutes, and forgets a dead peer after five",
        (
            Edit("peer.py", "KEEP_ALIVE = 5 ", "KEEP_ALIVE = 120 "),
            Edit("tracker.py", "TIMEOUT = 15 ", "TIMEOUT = 300 "),
        ),
        left=none_of(10, 11),
    ),
    "holders_missing": Submission(
        "`file_logs -all` lists names without holders",
        (
            Edit(
                "tracker.py",
                "            for name in files:\n                print_file(name)\n",
                '            say("\\n".join(files))\n',
            ),
        ),
        left=none_of(14),
    ),
    "silent_about_unknown_files": Submission(
        "`file_logs` of an unknown file prints nothing",
        (
            Edit(
                "tracker.py",
                "            if words[1] not in files:\n"
                '                say(f"error: there is no file {words[1]}")\n'
                "            else:\n",
                "            if words[1] in files:\n",
            ),
        ),
        left=none_of("15b"),
    ),
    "log_without_source": Submission(
        "the peer's `request logs` does not say from whom",
        (
            Edit("peer.py", " from {source}: {text}", " {text}"),
            Edit("peer.py", ", peers {', '.join(peers) or 'none'}", ", {len(peers)} peers"),
        ),
        left=none_of(16),
    ),
}
