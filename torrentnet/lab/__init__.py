"""The lab on the host: scenarios, engines, the run, verdicts and reports.

From tests and notebooks::

    import torrentnet.lab

    with torrentnet.lab.open("scenarios/three_seeders.yaml") as lab:
        lab.kill("seeder-1")
        lab.wait_event("tracker", "forgotten", peer="seeder-1")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torrentnet.lab.api import Lab
    from torrentnet.lab.api import open_lab as open  # noqa: A004
else:

    def __getattr__(name: str) -> object:
        # An import of the package, or of one of its modules, must not load the libraries of Docker and Rich.
        if name == "open":
            from torrentnet.lab.api import open_lab

            return open_lab
        if name == "Lab":
            from torrentnet.lab.api import Lab

            return Lab
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["Lab", "open"]
