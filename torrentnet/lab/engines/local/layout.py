"""Where the nodes of a local lab have their addresses and files.

Tested by tests/integration/test_local_engine.py.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.local import protocol
from torrentnet.lab.engines.local.protocol import SupervisedLab, SupervisedNode
from torrentnet.lab.engines.local.supervisor import sandbox_root
from torrentnet.lab.engines.local.supervisor.cgroups import PIDS
from torrentnet.lab.engines.owner import Owner, directory_id
from torrentnet.lab.engines.subnets import assign_addresses
from torrentnet.lab.engines.types import NodeLocation
from torrentnet.lab.paths import state_folder
from torrentnet.lab.scenario.plan.limits import fits_in_memory

if TYPE_CHECKING:
    from ipaddress import IPv4Network
    from pathlib import Path

    from torrentnet.lab.engines.types import LabSpec
    from torrentnet.lab.scenario.plan.program import ProgramPlan

COUNTS_BY_NAMESPACE: Final = (5, 14)
"""Linux counts a user's processes in each user namespace since then."""
OWN_PROCESSES: Final = 64
"""The supervisor and commands beside the nodes' programs."""


def lay_out(
    spec: LabSpec, network: str, subnet: IPv4Network, package_root: Path, cgroups: dict[str, str]
) -> SupervisedLab:
    """Assign each node an address and a directory.

    Returns the lab of ``spec`` that is to be supervised. The nodes' directories and the commands are placed beside the
    directory of the lab's files.

    ``network`` is :data:`protocol.NAMESPACES` or :data:`protocol.LOOPBACK`, and ``cgroups`` says where the nodes'
    control groups are.
    """
    own = spec.files.parent
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    in_memory = network == protocol.NAMESPACES and fits_in_memory([node.limits for node in spec.nodes], machine)
    addresses = {node: str(address) for node, address in assign_addresses(subnet, [n.name for n in spec.nodes]).items()}
    data = {node.name: str(own / "nodes" / node.name) for node in spec.nodes}
    files = str(spec.files) if spec.files.is_dir() else ""
    commands = spec.commands(
        {
            node.name: replace(
                _location(network, addresses[node.name], str(spec.files), data[node.name]),
                program=str(program_folder(spec, node.foreign))
                if node.foreign is not None and node.foreign.folder
                else "",
            )
            for node in spec.nodes
        }
    )
    state = state_folder(spec.home)
    return SupervisedLab(
        project=spec.project,
        owner=str(Owner.myself()),
        home=str(spec.home),
        state=str(state),
        state_parent=directory_id(state.parent),
        network=network,
        subnet=str(subnet),
        root=str(package_root),
        python=sys.executable,
        bin=str(own / "bin"),
        files=files,
        path=os.environ.get("PATH", os.defpath),
        nodes=tuple(
            SupervisedNode(
                node.name,
                addresses[node.name],
                tuple(commands[node.name]),
                data[node.name],
                node.limits.disk if in_memory or "disk" in node.limits.explicit else None,
                node.limits.memory,
                node.limits.open_files,
                node.limits.log,
                node.limits.processes,
                node.limits.cpus,
                observer=node.foreign is not None,
            )
            for node in spec.nodes
        ),
        cgroups=cgroups,
        user_processes=_user_processes(spec, network) if PIDS not in cgroups else 0,
        gate=spec.gate,
    )


def _user_processes(spec: LabSpec, network: str) -> int:
    """Return the most processes that the kernel can allow all nodes together.

    It counts those of a user in a user namespace. 0 where the nodes are not in one.
    """
    release = tuple(int(number) for number in re.findall(r"[0-9]+", platform.release())[:2])
    if network != protocol.NAMESPACES or os.geteuid() == 0 or release < COUNTS_BY_NAMESPACE:
        return 0
    return sum(node.limits.processes for node in spec.nodes) + OWN_PROCESSES


def program_folder(spec: LabSpec, program: ProgramPlan) -> Path:
    """Return the directory that has a program's files as long as the lab exists."""
    return spec.files.parent / "programs" / program.name


def locations(lab: SupervisedLab) -> dict[str, NodeLocation]:
    """Return the location of each node, as the node sees it."""
    return {node.name: _location(lab.network, node.address, lab.files, node.data) for node in lab.nodes}


def _location(network: str, address: str, files: str, data: str) -> NodeLocation:
    if network == protocol.NAMESPACES:
        return NodeLocation(address, sandbox_root.FILES, sandbox_root.DATA)
    return NodeLocation(address, files, data)
