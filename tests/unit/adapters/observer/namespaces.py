"""Network namespaces on one bridge, each of which looks like the only machine.

127.0.0.1 with another node's port leads to that node, and what listens on 127.0.0.1 can be reached from the others.
The namespaces live as long as their processes, which end with the test. Needs root.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

NEEDED: Final = ("ip", "unshare", "nsenter", "setpriv", "iptables-restore")
SUBNET: Final = "198.18.77"


def missing() -> str:
    """Return the command that this machine lacks; empty if it has all."""
    return next((name for name in NEEDED if shutil.which(name) is None), "")


class Namespaces:
    """A bridge, and a namespace for each node.

    ``ports`` has the port that each node was told.
    """

    def __init__(self, ports: Mapping[str, int]) -> None:
        self.ports = dict(ports)
        self.addresses = {name: f"{SUBNET}.{number}" for number, name in enumerate(ports, 2)}
        self._holders: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            self._hold("")
            self._run("", "ip link add name lab0 type bridge; ip link set lab0 up")
            for name, address in self.addresses.items():
                self._add(name, address)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for holder in self._holders.values():
            holder.kill()
            holder.wait()

    def prefix(self, name: str) -> list[str]:
        """Return the words that run a command in a node's namespace."""
        return ["nsenter", f"--net=/proc/{self._holders[name].pid}/ns/net"]

    def node_options(self) -> list[str]:
        """Return the observer's options for all nodes."""
        return [f"--node={name}={address}:{self.ports[name]}" for name, address in self.addresses.items()]

    def _hold(self, name: str) -> None:
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sh", "-c", "echo; exec sleep 3600"]
        holder = self._holders[name] = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert holder.stdout is not None
        with holder.stdout as told:
            told.readline()

    def _run(self, name: str, script: str, given: str = "") -> None:
        subprocess.run(
            [*self.prefix(name), "sh", "-ec", script], check=True, input=given, text=True, capture_output=True
        )

    def _add(self, name: str, address: str) -> None:
        self._hold(name)
        device = f"v{address.rpartition('.')[2]}"
        self._run(
            "",
            f"ip link add {device} type veth peer name eth0 netns {self._holders[name].pid}\n"
            f"ip link set {device} master lab0 up",
        )
        rules = ["*nat"]
        for other, port in self.ports.items():
            for protocol in ("tcp", "udp"):
                if other != name:
                    to = f"{self.addresses[other]}:{port}"
                    rules.append(f"-A OUTPUT -d 127.0.0.1/32 -p {protocol} --dport {port} -j DNAT --to {to}")
                else:
                    own = f"-A PREROUTING -i eth0 -d {address} -p {protocol} --dport {port}"
                    rules.append(f"{own} -j DNAT --to 127.0.0.1:{port}")
        rules += [f"-A POSTROUTING -s 127.0.0.0/8 -o eth0 -j SNAT --to {address}", "COMMIT\n"]
        self._run(
            name,
            f"ip link set lo up\nip addr add {address}/24 dev eth0\nip link set eth0 up\n"
            "for one in all eth0; do echo 1 >/proc/sys/net/ipv4/conf/$one/route_localnet; done\n"
            "iptables-restore",
            "\n".join(rules),
        )
