"""A leecher that runs aria2 and controls it remotely.

Usage: ``aria2_peer.py TORRENT DIRECTORY PORT``.

aria2 finds its seed by the tracker that the .torrent names, which is the only way that aria2 supports. This driver
prints a line of JSON with the times of the download. The first time is when the .torrent was submitted; aria2 had been
running for long by then. The line also contains the CPU time that this driver has used, so that it can be subtracted.
"""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

RPC = "http://127.0.0.1:6800/jsonrpc"
POLL_S = 0.005
HOOK, DONE = Path("/tmp/hook"), Path("/tmp/done")
OPTIONS = (
    "--no-conf",
    "--enable-peer-exchange=false",
    "--bt-enable-lpd=false",
    "--enable-dht=true",  # else aria2 asks no UDP tracker; it knows no node, and the info is private
    "--enable-dht6=false",
    "--dht-file-path=/tmp/dht.dat",
    "--dht-listen-port=6882",
    "--file-allocation=none",
    "--bt-tracker-interval=5",
    "--summary-interval=0",
    "--seed-ratio=0.0",
)


def call(method: str, *arguments: object) -> Any:
    """One call of aria2's JSON-RPC."""
    body = json.dumps({"jsonrpc": "2.0", "id": "1", "method": f"aria2.{method}", "params": arguments}).encode()
    with urllib.request.urlopen(RPC, body, timeout=10) as answer:
        return json.load(answer)["result"]


def main() -> None:
    """Start aria2, fetch, tell, and wait to be killed."""
    torrent, directory, port = sys.argv[1:4]
    HOOK.write_text(f"#!/bin/sh\ndate +%s.%N >{DONE}.new && mv {DONE}.new {DONE}\n", encoding="ascii")
    HOOK.chmod(0o755)
    command = ["aria2c", *OPTIONS, "--quiet", "--enable-rpc", f"--listen-port={port}", f"--dir={directory}"]
    command.append(f"--on-bt-download-complete={HOOK}")
    with subprocess.Popen(command):
        for _ in range(500):
            try:
                call("getVersion")
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(POLL_S)
        content = base64.b64encode(Path(torrent).read_bytes()).decode()
        begin = time.time()
        identity = call("addTorrent", content)
        # A hook of aria2's, because asking it again and again would cost it time.
        while not DONE.exists():
            time.sleep(POLL_S)
        end = float(DONE.read_text(encoding="ascii"))
        done = int(call("tellStatus", identity, ["completedLength"])["completedLength"])
        own = time.process_time()
        print(json.dumps({"begin": begin, "end": end, "bytes": done, "driver_cpu_s": own}), flush=True)
        signal.pause()


main()
