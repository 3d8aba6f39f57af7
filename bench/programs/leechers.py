"""Many torrentnet leechers at once.

Usage: ``leechers.py COUNT FILE TRACKER IP FIRST_PORT DIRECTORY``.

Starts the leechers, and prints ``ready`` when all of them have picked their seed. Prints a line of JSON when all have
the file: for each leecher, the time when it had the file (seconds since the epoch), and its own memory at that time.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path


def own_memory(pid: int) -> int:
    """``RssAnon`` of a process, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def main() -> None:
    """Start them, watch their event lines, tell, and wait to be killed."""
    count, file, tracker, ip, first_port, directory = sys.argv[1:7]
    chooser = selectors.DefaultSelector()
    peers = []
    for number in range(int(count)):
        folder = Path(directory) / str(number)
        folder.mkdir(parents=True)
        words = ("peer.py", "get", file, tracker, f"{ip}:{int(first_port) + number}", "--dir", str(folder))
        peer = subprocess.Popen([*words, "--name", f"leecher-{number + 1}"], stdout=subprocess.PIPE)
        peers.append(peer)
        assert peer.stdout is not None
        os.set_blocking(peer.stdout.fileno(), False)
        chooser.register(peer.stdout, selectors.EVENT_READ, number)
    seen: dict[str, dict[int, float]] = {"picked": {}, "completed": {}}
    memory: dict[int, int] = {}
    while len(seen["completed"]) < len(peers):
        for key, _ in chooser.select():
            number = key.data
            if peers[number].poll() is not None:
                sys.exit(f"leecher-{number + 1} has ended")
            for line in peers[number].stdout or ():
                stamp, _, rest = line.decode().partition(" ")
                event = rest.split(" ", 1)[0].strip()
                if event not in seen or number in seen[event]:
                    continue
                seen[event][number] = datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
                if event == "completed":
                    memory[number] = own_memory(peers[number].pid)
                if event == "picked" and len(seen[event]) == len(peers):
                    print("ready", flush=True)
    print(json.dumps({"ends": [[seen["completed"][number], memory[number]] for number in memory]}), flush=True)
    signal.pause()


main()
