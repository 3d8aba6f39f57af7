"""The labels of everything that a lab creates in Docker.

Objects without these labels are never touched.

Tested by tests/integration/test_up.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.owner import Owner, directory_id
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
PROGRAM: Final = PREFIX + "program"
"""On containers whose program the scenario brings along: :data:`IN_OUR_IMAGE` or :data:`IN_ITS_IMAGE`."""
IN_OUR_IMAGE, IN_ITS_IMAGE = "folder", "image"
OWNER: Final = PREFIX + "owner"
"""The process that made the lab, see :mod:`torrentnet.lab.engines.owner`."""
USER: Final = PREFIX + "uid"
"""The owner's user id: a clean-up looks at what its own user made."""
MODE: Final = PREFIX + "mode"
"""``run`` or ``up``."""
HOME: Final = PREFIX + "home"
"""The lab's home directory."""
STATE: Final = PREFIX + "state"
"""The state folder of the home, which any installation of the lab can look into; it matters where MODE is ``up``."""
STATE_PARENT: Final = PREFIX + "state-parent"
"""Device and inode of the directory that has the state folder. In a home that is not mounted, another one is there."""
IMAGE: Final = PREFIX + "image"
"""Hash of the sources, on images."""
BUILT: Final = PREFIX + "built"
"""When they were built, on images: the machine, its boot, and the seconds since then."""


def owner_labels(mode: Mode, home: Path | None = None) -> dict[str, str]:
    """Return the labels that say which process made something."""
    owner = Owner.myself()
    state = state_folder(home) if home else None
    return {
        OWNER: str(owner),
        USER: str(owner.user),
        MODE: str(mode),
        HOME: str(home or ""),
        STATE: str(state or ""),
        STATE_PARENT: directory_id(state.parent) if state else "",
    }
