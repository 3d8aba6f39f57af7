"""Tries what a keeper with namespaces needs, in a process of its own: ``python3 -m ... DIRECTORY``.

Exit status 0 where it works; else the last line says why not.
"""

from __future__ import annotations

import os
import sys

from torrentnet.lab.engines.local.supervisor.bridge import Bridge
from torrentnet.lab.engines.local.supervisor.sandbox_root import Sandbox, build_root
from torrentnet.lab.engines.local.supervisor.spawner import ProcessSpec, Spawner, enter_namespaces

ADDRESS = "198.18.0.2"
PREFIX = 24


def main(argv: list[str]) -> int:
    """Make a network with one node, and run a program in it."""
    try:
        return enter_namespaces(lambda: _try(argv[1]))
    except OSError as error:
        return _report(error)


def _try(root: str) -> int:
    try:
        build_root(root)
        port = Bridge(PREFIX).plug(ADDRESS)
        view = Sandbox("/", root=root, host_name="trial", network=port.namespace)
        spawner = Spawner()
        # Two: the way back from the first one's processes must be open, too.
        for _ in range(2):
            pid = spawner.node(ProcessSpec(["true"], os.environ, (0, 1, 2)), view)
            if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0:
                raise OSError(0, "a program in a node ended badly")
    except OSError as error:
        return _report(error)
    return 0


def _report(error: OSError) -> int:
    print(error.strerror or error)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
