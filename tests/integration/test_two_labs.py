"""Two labs at once on one machine do not meet."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from tests.integration.engines import DOCKER, on, on_all
from tests.integration.helpers import SCENARIOS
from torrentnet.lab.api import Lab
from torrentnet.lab.engines.docker import compose
from torrentnet.lab.scenario.load import load_plan
from torrentnet.lab.verdict.outcome import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    import docker
    from tests.integration.engines import Kind

KNOCK = (
    "import socket, sys\n"
    "s = socket.socket(); s.settimeout(2)\n"
    "try: s.connect((sys.argv[1], 6881))\n"
    "except OSError: sys.exit(1)\n"
)


@on_all
def test_two_labs_do_not_meet(home: Path, engine: Kind) -> None:
    plan = load_plan(SCENARIOS / "quick.yaml")
    with Lab(plan, engine.make(), home=home) as one, Lab(plan, engine.make(), home=home) as two:
        assert one.project != two.project
        assert one.directory != two.directory
        here, there = one.engine.locations["seeder"].address, two.engine.locations["seeder"].address
        assert here.rsplit(".", 1)[0] != there.rsplit(".", 1)[0]
        assert one.exec("tracker", "python3", "-c", KNOCK, here).status == 0
        # On the loopback interface a lab can reach the other's address; nobody tells it of that address.
        assert one.exec("tracker", "python3", "-c", KNOCK, there).status == engine.isolates
        for lab in (one, two):
            assert lab.play().verdict is Verdict.PASSED
            assert "leecher" in lab.console("tracker", "file_logs myfile.txt").output


@on(DOCKER)
def test_a_subnet_that_another_lab_takes_is_replaced(home: Path, engine: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = load_plan(SCENARIOS / "quick.yaml")
    with Lab(plan, engine.make(), home=home) as one:
        taken = compose.used_subnets

        def looked_too_early(client: docker.DockerClient) -> list[IPv4Network]:
            mine = IPv4Network(f"{one.engine.locations['tracker'].address}/24", strict=False)
            return [subnet for subnet in taken(client) if subnet != mine]

        monkeypatch.setattr(compose, "used_subnets", looked_too_early)
        with Lab(plan, engine.make(), home=home) as two:
            assert one.engine.locations["tracker"].address != two.engine.locations["tracker"].address
            assert two.play().verdict is Verdict.PASSED
