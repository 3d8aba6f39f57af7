"""Each client downloads for longer than its rules about free space wait.

rTorrent, for one, looks for free space five seconds after its start.
"""

from __future__ import annotations

from pathlib import Path

from tests.integration.helpers import torrentnet

SCENARIO = Path(__file__).parent / "scenarios" / "slow_download.yaml"


def test_every_client_completes_a_slow_download(clients_image: str, tmp_path: Path) -> None:
    """A node's default disk has room for the file, and less than some want."""
    del clients_image  # built before the lab needs it
    answer = torrentnet(tmp_path, "run", str(SCENARIO), "--engine", "docker")
    assert answer.returncode == 0, answer.stdout + answer.stderr
