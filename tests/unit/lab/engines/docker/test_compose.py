"""The generated Compose file."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.lab.engines.test_command_lines import locations
from tests.unit.lab.fakes import leecher, make_plan, seeder
from torrentnet.lab.engines.command_lines import command_lines, node_specs
from torrentnet.lab.engines.docker import containers
from torrentnet.lab.engines.docker.compose import TEMPLATE, Topology, escape, render
from torrentnet.lab.engines.docker.limits import LimitSupport
from torrentnet.lab.engines.docker.programs.program_images import ProgramImage
from torrentnet.lab.engines.local.supervisor import nodes
from torrentnet.lab.engines.types import LabSpec, Mode
from torrentnet.lab.errors import EngineError
from torrentnet.lab.scenario.plan.limits import NodeLimits
from torrentnet.lab.scenario.plan.plan import NodePlan, NodeProgram, Plan, Role
from torrentnet.lab.scenario.plan.program import ProgramPlan

ROOT = Path(__file__).resolve().parents[5]
BASE = Path("/checkout/docker-compose.yml")
MINE = ProgramImage("torrentnet-program:0123", "/program", path="/program/.site")
BOX = ProgramImage(
    "torrentnet-program:4567",
    environment=(("PATH", "/bin"), ("LD_PRELOAD", "/evil.so"), ("HOME", "/root"), ("TORRENTNET_CONSOLE", "/evil")),
    volumes=("/data", "/var/lib/box"),
    ours=False,
)


class Loader(yaml.SafeLoader):
    """Reads Compose's own tags."""


Loader.add_constructor("!reset", lambda _loader, _node: "reset")


def _override(loader: yaml.SafeLoader, node: yaml.nodes.Node) -> list[Any]:
    assert isinstance(node, yaml.nodes.SequenceNode)
    return ["override", *loader.construct_sequence(node, deep=True)]


Loader.add_constructor("!override", _override)


def rendered(
    plan: Plan, files: str = "/home/.torrentnet/labs/p/files", support: LimitSupport | None = None
) -> tuple[str, dict[str, Any]]:
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
    support = support or LimitSupport(memory=-8)  # too little for any directory
    image = "torrentnet:0123"
    programs = {"mine": MINE, "box": BOX}
    topology = Topology(BASE, image, subnet, locations(plan), owner, support, "torrentnet-clients:0123", programs)
    text = render(spec, topology)
    return text, yaml.load(text, Loader)


def test_each_node_is_one_service() -> None:
    plan = make_plan(nodes=(seeder(), leecher()))
    text, document = rendered(plan)
    assert text.startswith("# Written by torrentnet")
    assert document["name"] == "torrentnet-trial-abc123"
    assert list(document["services"]) == ["tracker", "seeder-1", "leecher-1"]
    service = document["services"]["leecher-1"]
    assert {key: value for key, value in service.items() if key not in LIMITS} == {
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


def test_the_tracker_extends_a_template_too() -> None:
    _, document = rendered(make_plan())
    tracker = document["services"]["tracker"]
    assert tracker["extends"] == {"file": "/checkout/docker-compose.yml", "service": "_tracker"}
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
        # Whatever the engine's own default is: the lab reads what nodes print.
        assert pattern["logging"]["driver"] == "json-file"
        assert pattern["logging"]["options"]["mode"] == "blocking"
        # A node that is paused during a check of its health blocks the engine.
        assert pattern["healthcheck"] == {"disable": True}
        assert "privileged" not in pattern
        assert "cap_add" not in pattern
        # `docker compose stop` grants a node what both engines grant it.
        assert pattern["stop_grace_period"] == f"{containers.STOP_GRACE}s"
    assert nodes.STOP_GRACE == containers.STOP_GRACE


PLENTY = LimitSupport(processors=8, memory=2**34)
LIMITS = {
    "mem_limit": 2**29 + 2**26,
    "memswap_limit": 2**29 + 2**26,
    "pids_limit": 128,
    "cpus": 1.0,
    "ulimits": {"nofile": {"soft": 1024, "hard": 1024}, "core": 0},
    "logging": {"driver": "json-file", "options": {"max-size": "8388608", "max-file": "2"}},
}


def limited(plan: Plan, support: LimitSupport = PLENTY) -> dict[str, Any]:
    document = rendered(plan, support=support)[1]
    services = document["services"].items()
    return {name: {key: service.get(key) for key in LIMITS} for name, service in services}


def test_every_node_is_limited() -> None:
    plan = make_plan(nodes=(seeder(), replace(leecher(), limits=NodeLimits(cpus=64.0, processes=16))))
    found = limited(plan)
    assert found["seeder-1"] == LIMITS
    assert found["leecher-1"] == {**LIMITS, "pids_limit": 16, "cpus": 8.0}


def test_a_limit_that_the_engine_lacks_is_left_out() -> None:
    weak = LimitSupport(frozenset({"memory", "cpus"}), 2, 2**34)
    plan = make_plan(nodes=(seeder(),))
    found = limited(plan, weak)["seeder-1"]
    assert [key for key, value in found.items() if value is None] == ["mem_limit", "memswap_limit", "cpus"]
    assert weak.unlimited(node_specs(plan)) == ["cpus", "memory"]


def test_a_limit_that_the_scenario_sets_is_kept_or_refused() -> None:
    weak = LimitSupport(frozenset({"memory"}), 2, 2**34)
    own = NodeLimits(memory=2**26, explicit=("memory",))
    with pytest.raises(EngineError, match="cannot keep the limit `memory` of seeder-1"):
        weak.unlimited(node_specs(make_plan(nodes=(replace(seeder(), limits=own),))))


def test_directories_are_in_memory_of_their_size() -> None:
    plan = make_plan(nodes=(seeder(), replace(leecher(), limits=NodeLimits(disk=4096, explicit=("disk",)))))
    document = rendered(plan, support=PLENTY)[1]
    options = "size=4096,nr_inodes=65536,uid=10001,gid=10001,mode=1777"
    volume = document["volumes"]["data-leecher-1"]
    assert volume["driver_opts"] == {"type": "tmpfs", "device": "tmpfs", "o": options}
    # Volumes without the lab's labels would be left behind.
    assert volume["labels"] == document["networks"]["lab"]["labels"]
    mount = {"type": "volume", "source": "data-leecher-1", "target": "/data", "volume": {"nocopy": True}}
    assert document["services"]["leecher-1"]["volumes"] == ["override", mount]
    assert list(document["volumes"]) == ["data-tracker", "data-seeder-1", "data-leecher-1"]


def test_files_too_large_for_memory_stay_on_the_disk() -> None:
    large = replace(leecher(), limits=NodeLimits(stored=2**30))
    small = replace(leecher("leecher-2"), limits=NodeLimits(disk=4096, explicit=("disk",)))
    plan = make_plan(nodes=(large, small))
    support = LimitSupport(processors=2, memory=2**32)
    document = rendered(plan, support=support)[1]
    assert list(document["volumes"]) == ["data-leecher-2"]
    assert document["services"]["leecher-1"]["mem_limit"] == 2**29
    assert support.unlimited(node_specs(plan)) == ["disk"]


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


def program_service(name: str) -> dict[str, Any]:
    program = ProgramPlan(name, None, "", "", (("get", "./client {file}"),))
    node = replace(leecher(), program=NodeProgram.FOREIGN, foreign=program)
    service: dict[str, Any] = rendered(make_plan(nodes=(node,)), support=PLENTY)[1]["services"]["leecher-1"]
    return service


def test_a_program_of_the_scenario_runs_in_its_image() -> None:
    service = program_service("mine")
    assert service["extends"]["service"] == "_program"
    assert service["image"] == "torrentnet-program:0123"
    assert service["environment"] == {"TORRENTNET_CHILD_PYTHONPATH": "/program/.site"}
    assert service["labels"]["org.torrentnet.program"] == "folder"
    assert service["command"][:2] == ["observe", "get"]
    assert service["command"][-2:] == ["./client", "a.txt"]


def test_what_an_image_asks_for_reaches_its_program_alone() -> None:
    service = program_service("box")
    assert service["labels"]["org.torrentnet.program"] == "image"
    assert service["environment"] == {
        "HOME": "",
        "LANG": "C.UTF-8",
        "LD_LIBRARY_PATH": "",
        "LD_PRELOAD": "",
        "PATH": "/torrentnet/bin:/bin",
        "TORRENTNET_CHILD_LD_PRELOAD": "/evil.so",
        "TORRENTNET_CHILD_PATH": "/bin",
        "TORRENTNET_CHILD_TORRENTNET_CONSOLE": "/evil",
    }
    assert service["tmpfs"] == ["/var/lib/box:mode=1777,size=16m"]


def test_the_observer_alone_has_rights() -> None:
    base = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    pattern = base["services"]["_program"]
    assert pattern["user"] == "0:0"
    assert pattern["cap_drop"] == ["ALL"]
    assert set(pattern["cap_add"]) == {"SETUID", "SETGID", "KILL", "CHOWN", "DAC_OVERRIDE", "NET_RAW", "NET_ADMIN"}
    assert pattern["security_opt"] == ["no-new-privileges:true"]
    assert pattern["read_only"] is True
    assert "/run/torrentnet:uid=0,gid=0,mode=0700,size=1m" in pattern["tmpfs"]
    assert pattern["profiles"]
