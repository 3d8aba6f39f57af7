"""A command in a node of the engine local, as ``docker exec -i`` for Docker.

Usage: ``python -m tests.integration.local_exec DIRECTORY NODE WORDS...``.

It gives its own streams to a command in a node, and ends with the command's exit status.
"""

from __future__ import annotations

import socket
import sys

from torrentnet.lab.engines.local import protocol


def main(directory: str, node: str, *words: str) -> int:
    """Run the words in a node of the lab in a directory of the registry."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as supervisor:
        supervisor.connect(f"{directory}/{protocol.SOCKET}")
        asked = {"do": "exec", "node": node, "argv": words, "root": False}
        socket.send_fds(supervisor, [protocol.encode(asked)], [0, 1, 2])
        answer = protocol.decode(supervisor.recv(protocol.MESSAGE_LIMIT))
    if "error" in answer:
        print(answer["error"], file=sys.stderr)
    return int(answer.get("status", 1))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
