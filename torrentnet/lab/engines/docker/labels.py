"""The labels of everything that a lab creates in Docker.

Objects without these labels are never touched.

Tested by tests/integration/test_up.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.owner import Owner, pid_namespace
from torrentnet.lab.paths import state_folder

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.engines.types import Mode

PREFIX: Final = "org.torrentnet."
LAB: Final = PREFIX + "lab"
"""The lab's project."""
NODE: Final = PREFIX + "node"
"""The node's name, on containers."""
ROLE: Final = PREFIX + "role"
"""``tracker``, ``share`` or ``get``, on containers."""
OWNER: Final = PREFIX + "owner"
"""The process that made the lab, see :mod:`torrentnet.lab.engines.owner`."""
PID_NAMESPACE: Final = PREFIX + "pid-namespace"
"""The namespace in which the owner's process id is valid."""
MODE: Final = PREFIX + "mode"
"""``run`` or ``up``."""
HOME: Final = PREFIX + "home"
"""The lab's home directory."""
STATE: Final = PREFIX + "state"
"""The state folder of the home, which any installation of the lab can look into; it matters where MODE is ``up``."""
IMAGE: Final = PREFIX + "image"
"""Hash of the sources, on images."""


def owner_labels(mode: Mode, home: Path | None = None) -> dict[str, str]:
    """Return the labels that say which process made something."""
    return {
        OWNER: str(Owner.myself()),
        PID_NAMESPACE: pid_namespace(),
        MODE: str(mode),
        HOME: str(home or ""),
        STATE: str(state_folder(home) if home else ""),
    }
