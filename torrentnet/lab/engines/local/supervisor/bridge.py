"""The network of a lab whose nodes have network namespaces: a bridge in a namespace of its own, a veth pair a node.

The bridge is not in the machine's own network: nothing there is listed, routed or filtered, no address meets another
one, and no rule of the machine's firewall (Docker's FORWARD chain, say) is in the way. No namespace has a name: the
keeper's descriptors hold them, and they go with everything in them when the keeper ends, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from torrentnet.lab.engines.local.supervisor import syscalls

BRIDGE_NAME = "lab"
DEVICE = "eth0"
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
COMMAND_TIMEOUT = 10.0


def find_ip() -> str | None:
    """The command ``ip``, which is not on every user's PATH."""
    return shutil.which("ip") or shutil.which("ip", path=SBIN)


def mac_address(address: str) -> str:
    """A node's hardware address: by its IPv4 address, so that a node that starts again keeps it."""
    return "02:54:" + ":".join(f"{int(part):02x}" for part in address.split("."))


@dataclass(frozen=True, slots=True)
class BridgePort:
    """A node's place at the bridge."""

    namespace: int
    """Descriptor of the node's network namespace."""
    device: str
    """The bridge's end of the pair."""


class Bridge:
    """The network. Needs to be root (in a user namespace perhaps), and a process with a single thread.

    Its maker lives in the hub's namespace from then on. Raises OSError where something is not allowed.
    """

    def __init__(self, prefix: int) -> None:
        """``prefix``: length of the subnet's."""
        ip = find_ip()
        if ip is None:
            raise FileNotFoundError(2, "the command `ip` is not installed")
        self._ip = ip
        self._prefix = prefix
        self._count = 0
        self._here = self._new()
        _disable_ipv6()
        self._run(f"link set lo up\nlink add {BRIDGE_NAME} type bridge\nlink set {BRIDGE_NAME} up\n")

    def plug(self, address: str) -> BridgePort:
        """A new network namespace with an interface that has this address, at the bridge."""
        self._count += 1
        device = f"v{self._count}"
        namespace = self._new()
        try:
            _disable_ipv6()
            syscalls.setns(self._here, syscalls.NEW_NETWORK)
            there = f"/proc/{os.getpid()}/fd/{namespace}"
            self._run(
                f"link add {device} type veth peer name {DEVICE} address {mac_address(address)} netns {there}\n"
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
            syscalls.setns(self._here, syscalls.NEW_NETWORK)
        return BridgePort(namespace, device)

    def unplug(self, port: BridgePort) -> None:
        """Take a node's interface away, at once, and let go of its namespace."""
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
    """No IPv6 in the namespace that this process is in: its own chatter would be counted with the nodes'."""
    for which in ("all", "default"):
        with contextlib.suppress(OSError):
            Path(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6").write_text("1", encoding="ascii")
