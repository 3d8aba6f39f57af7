"""The limits of a node, as Compose and the Docker Engine have them.

An Engine may be unable to keep a limit (rootless, an old kernel). Then a scenario that sets it is refused, and the
user is told which of the default limits do not hold.

Tested by tests/unit/lab/engines/docker/test_compose.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.errors import EngineError
from torrentnet.lab.scenario.language.scalars import format_size
from torrentnet.lab.scenario.plan.limits import fits_in_memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torrentnet.lab.engines.types import NodeSpec
    from torrentnet.lab.scenario.plan.limits import NodeLimits

ABILITIES: Final = {"memory": "MemoryLimit", "processes": "PidsLimit", "cpus": "CpuCfsQuota"}
"""Limit -> the Engine's own word for being able to keep it."""
USER: Final = 10001
"""Id of the nodes' user and of its group."""
LOG_FILES: Final = 2
MAX_FILES: Final = 65_536
"""Files in a node's directory: the names of files use memory, too."""


@dataclass(frozen=True, slots=True)
class LimitSupport:
    """What an Engine can limit."""

    missing: frozenset[str] = frozenset()
    """The limits that this Engine cannot keep."""
    processors: int = 1
    memory: int = 0
    """Bytes of the Engine's machine."""

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> LimitSupport:
        """Return what the Engine's ``info`` says."""
        missing = frozenset(limit for limit, ability in ABILITIES.items() if not info.get(ability))
        return cls(missing, int(info.get("NCPU") or 1), int(info.get("MemTotal") or 0))

    def disk_in_memory(self, nodes: Iterable[NodeSpec]) -> bool:
        """Return whether the nodes' directories are kept in memory.

        Docker can limit their size there.
        """
        return fits_in_memory([node.limits for node in nodes], self.memory)

    def unlimited(self, nodes: Iterable[NodeSpec]) -> list[str]:
        """Return the limits that will not be kept.

        Raises EngineError where the scenario sets one of them.
        """
        nodes = tuple(nodes)
        for node in nodes:
            refused = sorted(self.missing.intersection(node.limits.explicit))
            if refused:
                raise EngineError(
                    f"this Docker Engine cannot keep the limit `{refused[0]}` of {node.name}",
                    hint="`docker info` says why; remove the limit, or use another Engine",
                )
        return sorted(self.missing) + ([] if self.disk_in_memory(nodes) else ["disk"])


def service_limits(limits: NodeLimits, support: LimitSupport, *, in_memory: bool) -> dict[str, object]:
    """Return the keys of a Compose service that limit it."""
    # The kernel counts files in memory as the memory of who has written them.
    memory = limits.memory + (limits.disk if in_memory else 0)
    keys: dict[str, object] = {}
    if "memory" not in support.missing:
        keys |= {"mem_limit": memory, "memswap_limit": memory}
    if "processes" not in support.missing:
        keys["pids_limit"] = limits.processes
    if "cpus" not in support.missing:
        keys["cpus"] = min(limits.cpus, float(support.processors))
    files = {"soft": limits.open_files, "hard": limits.open_files}
    keys["ulimits"] = {"nofile": files, "core": 0}
    keys["logging"] = {
        "driver": "json-file",
        "options": {"max-size": str(limits.log // LOG_FILES), "max-file": str(LOG_FILES)},
    }
    return keys


def volume(limits: NodeLimits, user: int, labels: Mapping[str, str]) -> dict[str, object]:
    """Return a Compose volume in memory for a node's directory."""
    return {"labels": dict(labels), "driver_opts": volume_options(limits, user)}


def volume_options(limits: NodeLimits, user: int) -> dict[str, str]:
    """Return what Docker's driver needs for a volume in memory."""
    options = f"size={limits.disk},nr_inodes={MAX_FILES},uid={user},gid={user},mode=1777"
    return {"type": "tmpfs", "device": "tmpfs", "o": options}


def describe_unlimited(names: Iterable[str], nodes: Iterable[NodeSpec]) -> str:
    """Return the line that tells the user which limits do not hold."""
    stored = format_size(sum(node.limits.stored for node in nodes))
    reasons = {"disk": f"disk (files of {stored} in all are too much for memory)"}
    return f"not limited on this Docker Engine: {', '.join(reasons.get(name, name) for name in names)}"
