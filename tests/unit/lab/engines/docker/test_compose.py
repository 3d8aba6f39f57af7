"""The generated Compose file."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import yaml

from tests.unit.lab.engines.test_command_lines import locations
from tests.unit.lab.fakes import leecher, make_plan, seeder
from torrentnet.lab.engines.command_lines import command_lines, node_specs
from torrentnet.lab.engines.docker.compose import TEMPLATE, Topology, escape, render
from torrentnet.lab.engines.types import LabSpec, Mode
from torrentnet.lab.scenario.plan.plan import NodePlan, NodeProgram, Plan, Role

ROOT = Path(__file__).resolve().parents[5]
BASE = Path("/checkout/docker-compose.yml")


class Loader(yaml.SafeLoader):
    """Reads Compose's own tags."""


Loader.add_constructor("!reset", lambda _loader, _node: "reset")


def _override(loader: yaml.SafeLoader, node: yaml.nodes.Node) -> list[Any]:
    assert isinstance(node, yaml.nodes.SequenceNode)
    return ["override", *loader.construct_sequence(node, deep=True)]


Loader.add_constructor("!override", _override)


def rendered(plan: Plan, files: str = "/home/.torrentnet/labs/p/files") -> tuple[str, dict[str, Any]]:
    spec = LabSpec(
        "torrentnet-trial-abc123",
        plan.name,
        Mode.RUN,
        Path("/home"),
        Path(files),
        Path("/home/runs"),
        node_specs(plan),
        command_lines(plan),
    )
    owner = {"org.torrentnet.owner": "boot:1:2", "org.torrentnet.mode": "run"}
    subnet = IPv4Network("198.18.0.0/24")
    text = render(spec, Topology(BASE, "torrentnet:0123", subnet, locations(plan), owner, "torrentnet-clients:0123"))
    return text, yaml.load(text, Loader)


def test_each_node_is_one_service() -> None:
    plan = make_plan(nodes=(seeder(), leecher()))
    text, document = rendered(plan)
    assert text.startswith("# Written by torrentnet")
    assert document["name"] == "torrentnet-trial-abc123"
    assert list(document["services"]) == ["tracker", "seeder-1", "leecher-1"]
    assert document["services"]["leecher-1"] == {
        "extends": {"file": "/checkout/docker-compose.yml", "service": "_peer"},
        "profiles": "reset",
        "image": "torrentnet:0123",
        "hostname": "leecher-1",
        "command": [
            *("peer.py", "get", "a.txt", "198.18.0.2:6771", "198.18.0.4:6881"),
            *("--name", "leecher-1", "--dir", "/data"),
        ],
        "labels": {
            "org.torrentnet.lab": "torrentnet-trial-abc123",
            "org.torrentnet.owner": "boot:1:2",
            "org.torrentnet.mode": "run",
            "org.torrentnet.node": "leecher-1",
            "org.torrentnet.role": "get",
        },
        "networks": {"lab": {"ipv4_address": "198.18.0.4"}},
    }
    assert document["networks"]["lab"]["ipam"] == {"config": [{"subnet": "198.18.0.0/24"}]}
    assert document["networks"]["lab"]["labels"]["org.torrentnet.lab"] == "torrentnet-trial-abc123"


def test_only_sharing_nodes_see_the_labs_files() -> None:
    _, document = rendered(make_plan(nodes=(seeder(), leecher())))
    mounts = {name: service.get("volumes") for name, service in document["services"].items()}
    assert mounts == {
        "tracker": None,
        "leecher-1": None,
        "seeder-1": [
            {"type": "bind", "source": "/home/.torrentnet/labs/p/files", "target": "/files", "read_only": True}
        ],
    }
    assert document["services"]["seeder-1"]["command"][-1] == "/files"


def test_the_tracker_service_extends_nothing() -> None:
    _, document = rendered(make_plan())
    tracker = document["services"]["tracker"]
    assert "extends" not in tracker
    assert tracker["command"] == ["tracker.py", "198.18.0.2:6771", "--name", "tracker", "--state", "/data"]


def test_dollar_signs_are_escaped() -> None:
    plan = make_plan(nodes=(NodePlan("seeder", "seeder", Role.SHARE, "$HOME and ${X}.txt", 0.0),))
    _, document = rendered(plan, "/home/$USER/files")
    assert document["services"]["seeder"]["command"][2] == "$$HOME and $${X}.txt"
    assert document["services"]["seeder"]["volumes"][0]["source"] == "/home/$$USER/files"
    assert escape("a$b$$") == "a$$b$$$$"


def test_file_names_with_blanks_and_other_scripts_survive() -> None:
    plan = make_plan(nodes=(NodePlan("seeder", "seeder", Role.SHARE, "zwei Wörter: #1 'й'.txt", 0.0),))
    _, document = rendered(plan)
    assert document["services"]["seeder"]["command"][2] == "zwei Wörter: #1 'й'.txt"


def test_the_base_file_restricts_the_extended_services() -> None:
    base = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    for service in set(TEMPLATE.values()):
        pattern = base["services"][service]
        # Without a profile a bare `docker compose up` would start it.
        assert pattern["profiles"]
        assert pattern["user"] == "10001:10001"
        assert pattern["read_only"] is True
        assert pattern["cap_drop"] == ["ALL"]
        assert pattern["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in pattern
        assert "cap_add" not in pattern


def test_a_small_disk_replaces_the_volume() -> None:
    plan = make_plan(nodes=(replace(seeder(), disk=2**20), replace(leecher(), disk=4096)))
    _, document = rendered(plan)
    services = document["services"]
    assert services["leecher-1"]["volumes"] == ["override"]
    assert services["leecher-1"]["tmpfs"] == ["/data:uid=10001,gid=10001,mode=0755,size=4096"]
    assert [mount["target"] for mount in services["seeder-1"]["volumes"][1:]] == ["/files"]
    assert "tmpfs" not in services["tracker"]


def test_programs_of_others_use_their_image_and_see_torrents() -> None:
    given: dict[str, Any] = {"program": NodeProgram.ARIA2, "torrents": ("a.txt",)}
    plan = make_plan(nodes=(replace(seeder(), **given), replace(leecher(), **given)))
    plan = replace(plan, nodes=(replace(plan.nodes[0], torrents=("a.txt",)), *plan.nodes[1:]))
    services = rendered(plan)[1]["services"]
    images = {name: service["image"] for name, service in services.items()}
    assert images == {
        "tracker": "torrentnet:0123",
        "seeder-1": "torrentnet-clients:0123",
        "leecher-1": "torrentnet-clients:0123",
    }
    torrents = ["--torrent", "/files/.torrents/a.txt.torrent"]
    assert services["leecher-1"]["command"] == [
        *("client", "aria2", "get", "a.txt", "198.18.0.2:6771", "198.18.0.4:6881"),
        *("--name", "leecher-1", "--dir", "/data", "--state", "/data/.aria2", *torrents),
    ]
    assert services["seeder-1"]["command"][:4] == ["client", "aria2", "share", "a.txt"]
    assert services["tracker"]["command"] == [
        *("tracker.py", "198.18.0.2:6771", "--name", "tracker", "--state", "/data", *torrents),
    ]
    seen = {name: [one["target"] for one in service.get("volumes", [])] for name, service in services.items()}
    # A leecher must not be able to read what it is to download.
    assert seen == {"tracker": ["/files/.torrents"], "seeder-1": ["/files"], "leecher-1": ["/files/.torrents"]}
