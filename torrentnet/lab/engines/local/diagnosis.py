"""Checks whether the local engine's nodes can have network namespaces.

The module tries this on the machine instead of guessing.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torrentnet.lab.engines.local import addresses, protocol, registry
from torrentnet.lab.engines.local.supervisor import cgroups
from torrentnet.lab.engines.local.supervisor.bridge import SBIN, find_ip
from torrentnet.lab.engines.local.supervisor.preload import PYTHON_OPTIONS
from torrentnet.lab.engines.types import Finding
from torrentnet.lab.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

NETWORK_VARIABLE: Final = "TORRENTNET_LOCAL_NETWORK"
"""Forces one of the two modes: ``namespaces`` or ``loopback``."""
TRIAL_TIMEOUT: Final = 20.0
SYSTEM: Final = "Linux"
NEEDS_LINUX: Final = "the engine `local` needs Linux; on another system use Docker Desktop"
REMEDY_IP: Final = "install iproute2, which has the command `ip`"
REMEDY_PERMISSION: Final = (
    "run as root, or allow unprivileged user namespaces "
    "(`sysctl kernel.unprivileged_userns_clone=1`, `sysctl kernel.apparmor_restrict_unprivileged_userns=0`)"
)
REMEDY_CGROUPS: Final = "run as root, or begin the command with `systemd-run --user --scope`"
TOOLS: Final = ("tc", "iptables", "iptables-restore", "ethtool")


@dataclass(frozen=True, slots=True)
class NetworkMode:
    """How nodes are connected here."""

    network: str
    """:data:`protocol.NAMESPACES` or :data:`protocol.LOOPBACK`."""
    reason: str = ""
    """For the second: why not the first."""
    remedy: str = ""


def find_network_mode(root: Path) -> NetworkMode:
    """Find the network mode: try namespaces, unless the environment names a mode.

    Raises EngineError for a mode that is unknown or refused.
    """
    wanted = os.environ.get(NETWORK_VARIABLE, "")
    if wanted not in {"", protocol.NAMESPACES, protocol.LOOPBACK}:
        raise EngineError(
            f"{NETWORK_VARIABLE}={wanted} is not a way to connect nodes",
            hint=f"there are: {protocol.NAMESPACES}, {protocol.LOOPBACK}",
        )
    if wanted == protocol.LOOPBACK:
        return NetworkMode(wanted, f"{NETWORK_VARIABLE}={wanted}", f"remove {NETWORK_VARIABLE} from the environment")
    if find_ip() is None:
        reason, remedy = "the command `ip` is missing", REMEDY_IP
    else:
        reason, remedy = _try_namespaces(root), REMEDY_PERMISSION
    if not reason:
        return NetworkMode(protocol.NAMESPACES)
    if wanted:
        raise EngineError(f"nodes cannot have network namespaces: {reason}", hint=remedy)
    return NetworkMode(protocol.LOOPBACK, reason, remedy)


def _try_namespaces(root: Path) -> str:
    """Return why they are not available; empty where they are."""
    done = subprocess.run(
        # The directory is only a mount point, in namespaces of the trial's own: its content does not change.
        [*python_command(), "torrentnet.lab.engines.local.supervisor.trial", str(registry.base_directory())],
        env={"PYTHONPATH": str(root), "PATH": os.environ.get("PATH", os.defpath)},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TRIAL_TIMEOUT,
        check=False,
    )
    if done.returncode == 0:
        return ""
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[-1] if lines else f"the trial ended with status {done.returncode}"


def python_command() -> list[str]:
    """Return the start of a command line that runs one of our own modules.

    The module runs in a process of its own, without site packages, which our modules do not need.
    """
    return [sys.executable, *PYTHON_OPTIONS, "-m"]


def findings(root: Path) -> list[Finding]:
    """Return all rows of ``doctor`` that concern the local engine."""
    system = platform.system()
    rows = [Finding("local: system", system == SYSTEM, system, NEEDS_LINUX)]
    if system != SYSTEM:
        return rows
    try:
        mode = find_network_mode(root)
        labs = sorted(entry.lab.project for entry in registry.labs() if entry.lab is not None)
    except EngineError as error:
        return [*rows, Finding("local", False, error.message, error.hint)]
    if mode.network == protocol.NAMESPACES:
        rows.append(Finding("local: network", True, "each node has a network namespace of its own"))
        search_path = os.pathsep.join([os.environ.get("PATH", os.defpath), SBIN])
        missing = [tool for tool in TOOLS if shutil.which(tool, path=search_path) is None]
        rows.append(
            Finding(
                "local: tools for faults",
                not missing,
                f"missing: {', '.join(missing)}" if missing else ", ".join(TOOLS),
                "install iproute2, iptables and ethtool",
                optional=True,
            )
        )
    else:
        rows.append(
            Finding(
                "local: network",
                True,
                f"each node has an address of its own in {addresses.LOOPBACK}; no links, no faults ({mode.reason})",
            )
        )
    rows.append(_limits(mode))
    rows.append(Finding("local: labs of this user", True, ", ".join(labs) or "none"))
    return rows


def _limits(mode: NetworkMode) -> Finding:
    """Return the row about what a node is limited in."""
    places = cgroups.find_places()
    kept = {"processes": cgroups.PIDS in places, "processors": cgroups.CPU in places}
    kept["disk"] = mode.network == protocol.NAMESPACES
    limits = ", ".join(["memory and open files of each process", "log", *(name for name in kept if kept[name])])
    missing = [name for name in kept if not kept[name]]
    text = f"{limits}; not limited: {', '.join(missing)}" if missing else limits
    return Finding("local: limits of nodes", len(places) == len(cgroups.KEYS), text, REMEDY_CGROUPS, optional=True)


def environment(network: str) -> dict[str, str]:
    """Return what the nodes of a lab with this network run on, for the record."""
    system = platform.system()
    with contextlib.suppress(OSError):
        system = platform.freedesktop_os_release().get("PRETTY_NAME", system)
    return {
        "engine": f"local ({network}), Python {platform.python_version()}",
        "system": system,
        "kernel": platform.release(),
        "processors": str(os.cpu_count() or "?"),
        "storage": "directories",
        "image": "none",
    }
