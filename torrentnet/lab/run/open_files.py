"""The number of open files that a lab needs, checked before it starts.

Measured for 7 and 34 nodes: the lab itself holds a file of the record and (on Docker) a log stream for each node, the
supervisor of the engine ``local`` two descriptors for each, and both some twenty more. The rest is for commands.
"""

from __future__ import annotations

import resource
from typing import Final

from torrentnet.lab.errors import LabError

OF_NODE: Final = 2
OF_LAB: Final = 64


def require_open_files(nodes: int) -> None:
    """Raise the limit of open files where a lab of so many nodes needs it.

    Raises LabError where this user may not raise the limit so far.
    """
    needed = OF_NODE * nodes + OF_LAB
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise LabError(
            f"a lab of {nodes} nodes needs {needed} open files at once, and this process may have {hard}",
            hint=f"raise the limit: `ulimit -n {needed}`, as root or in /etc/security/limits.conf; or use fewer nodes",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
