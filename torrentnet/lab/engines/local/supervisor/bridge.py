"""The network of a lab with network namespaces.

It is a bridge in a namespace of its own, and a veth pair for each node.

The bridge is not in the machine's own network: it appears in no list, route or filter there, addresses cannot collide,
and the machine's firewall (Docker's FORWARD chain, say) does not apply. No namespace has a name: the supervisor's
descriptors keep them, and they disappear with everything in them when the supervisor ends, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from torrentnet.lab.engines.local.supervisor import syscalls

BRIDGE_NAME: Final = "lab"
DEVICE: Final = "eth0"
SBIN: Final = "/usr/local/sbin:/usr/sbin:/sbin"
COMMAND_TIMEOUT: Final = 10.0


def find_ip() -> str | None:
    """Return the path of the command ``ip``, which is not on every user's PATH."""
    return shutil.which("ip") or shutil.which("ip", path=SBIN)


def mac_address(address: str) -> str:
    """Return a node's hardware address, derived from its IPv4 address.

    A restarted node thus keeps its hardware address.
    """
    return "02:54:" + ":".join(f"{int(part):02x}" for part in address.split("."))


@dataclass(frozen=True, slots=True)
class BridgePort:
    """A node's connection to the bridge."""

    namespace: int
    """Descriptor of the node's network namespace."""
    device: str
    """The bridge's end of the veth pair."""


class Bridge:
    """The network of a lab: a bridge that connects the nodes' namespaces.

    Needs root (in a user namespace at least) and a process with a single thread.

    This process is in the bridge's namespace from then on. Raises OSError where something is not allowed.
    """

    def __init__(self, prefix: int) -> None:
        """``prefix`` is the length of the subnet's."""
        ip = find_ip()
        if ip is None:
            raise FileNotFoundError(2, "the command `ip` is not installed")
        self._ip = ip
        self._prefix = prefix
        self._count = 0
        self._own_namespace = self._new()
        _disable_ipv6()
        self._run(f"link set lo up\nlink add {BRIDGE_NAME} type bridge\nlink set {BRIDGE_NAME} up\n")

    def plug(self, address: str) -> BridgePort:
        """Create a network namespace, and connect it to the bridge.

        The namespace's interface has the address ``address``.
        """
        self._count += 1
        device = f"v{self._count}"
        namespace = self._new()
        try:
            _disable_ipv6()
            syscalls.setns(self._own_namespace, syscalls.NEW_NETWORK)
            peer = f"/proc/{os.getpid()}/fd/{namespace}"
            self._run(
                f"link add {device} type veth peer name {DEVICE} address {mac_address(address)} netns {peer}\n"
                f"link set {device} master {BRIDGE_NAME} up\n"
            )
            syscalls.setns(namespace, syscalls.NEW_NETWORK)
            self._run(
                f"link set lo up\naddress add {address}/{self._prefix} broadcast + dev {DEVICE}\nlink set {DEVICE} up\n"
            )
        except BaseException:
            os.close(namespace)
            raise
        finally:
            syscalls.setns(self._own_namespace, syscalls.NEW_NETWORK)
        return BridgePort(namespace, device)

    def unplug(self, port: BridgePort) -> None:
        """Remove a node's interface, and close its namespace."""
        os.close(port.namespace)
        with contextlib.suppress(OSError):
            self._run(f"link delete {port.device}\n")

    def _new(self) -> int:
        syscalls.unshare(syscalls.NEW_NETWORK)
        return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def _run(self, batch: str) -> None:
        done = subprocess.run(
            [self._ip, "-batch", "-"],
            input=batch,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_TIMEOUT,
            errors="replace",
        )
        if done.returncode != 0:
            raise OSError(1, f"ip: {done.stderr.strip() or done.returncode}")


def _disable_ipv6() -> None:
    """Disable IPv6 in the present namespace.

    Otherwise IPv6's neighbour discovery would be counted with the nodes' traffic.
    """
    for which in ("all", "default"):
        with contextlib.suppress(OSError):
            Path(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6").write_text("1", encoding="ascii")
