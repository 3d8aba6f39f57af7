"""The host side: scenarios, engines, timeline, expectations, reports.

For tests and notebooks::

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
        # Whoever wants one module of this package, or only its name, does not wait for Docker's and Rich's libraries.
        if name == "open":
            from torrentnet.lab.api import open_lab

            return open_lab
        if name == "Lab":
            from torrentnet.lab.api import Lab

            return Lab
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["Lab", "open"]
