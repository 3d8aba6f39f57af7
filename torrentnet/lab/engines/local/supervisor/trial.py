"""Trial of everything that a supervisor with namespaces needs.

The trial runs in a process of its own: ``python3 -m ... DIRECTORY``. Exit status 0 where it works; else the last line
says why not.

Tested by tests/integration/test_user_namespace.py.
"""

from __future__ import annotations

import os
import sys
from typing import Final

from torrentnet.lab.engines.local.supervisor.bridge import Bridge
from torrentnet.lab.engines.local.supervisor.sandbox_root import Sandbox, build_root
from torrentnet.lab.engines.local.supervisor.spawner import ProcessSpec, Spawner, enter_namespaces

ADDRESS: Final = "198.18.0.2"
PREFIX: Final = 24


def main(argv: list[str]) -> int:
    """Run a program in a network with one node, and return the exit status.

    The network is created for the trial.
    """
    try:
        return enter_namespaces(lambda: _try(argv[1]))
    except OSError as error:
        return _report(error)


def _try(root: str) -> int:
    try:
        build_root(root)
        port = Bridge(PREFIX).plug(ADDRESS)
        sandbox = Sandbox("/", root=root, host_name="trial", network=port.namespace)
        spawner = Spawner()
        # Twice: this process must also be able to leave the first node's process namespace.
        for _ in range(2):
            pid = spawner.start_node(ProcessSpec(["true"], os.environ, (0, 1, 2)), sandbox)
            if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0:
                raise OSError(0, "a program in a node failed")
    except OSError as error:
        return _report(error)
    return 0


def _report(error: OSError) -> int:
    print(error.strerror or error)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
