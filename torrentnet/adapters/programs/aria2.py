"""aria2, driven by its JSON-RPC.

Options: https://aria2.github.io/manual/en/html/aria2c.html. Its DHT stays on, because aria2 speaks UDP to trackers
through the DHT's socket; it knows no node there, and the info dictionary is private.
"""

from __future__ import annotations

import re
import secrets
import signal
import socket
from typing import TYPE_CHECKING, Any

from torrentnet.adapters.adapter import AdapterError, ClientStatus
from torrentnet.adapters.child_process import find_command, first_output_line
from torrentnet.adapters.daemon import RpcAdapter
from torrentnet.adapters.rpc import RpcConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.adapters.adapter import ClientSettings

GID = "746f7272656e746e"
"""The download's name in aria2: any 16 hexadecimal digits."""
STATUS_KEYS = (
    "status",
    "bitfield",
    "completedLength",
    "totalLength",
    "uploadLength",
    "connections",
    "errorMessage",
    "seeder",
)
ANNOUNCE_REPLY = re.compile(r"UDPT received ANNOUNCE reply .*event=STARTED")
COMPLAINT = re.compile(r"\[(ERROR|WARN)\]")
NOISE = re.compile(r"CA certificates|DHT routing table|DHTRoutingTable")
"""Complaints about what is not used here."""


class Aria2Adapter(RpcAdapter):
    """See :class:`Client`."""

    name = display_name = "aria2"
    start_timeout = 20.0
    stop_signal = signal.SIGINT
    """For a SIGTERM it says none."""

    def __init__(self, settings: ClientSettings, on_output: Callable[[str], None]) -> None:
        super().__init__(settings, on_output, RpcConnection(0, ""))
        self._secret = secrets.token_hex(8)
        self._announced = False
        self._log_disabled = not settings.seed

    def version(self) -> str:
        """See :meth:`Client.version`."""
        return first_output_line(find_command("aria2c", "aria2"), "--version").removeprefix("aria2 version ")

    def start(self) -> None:
        """See :meth:`Client.start`."""
        port = _free_port()
        self._rpc = RpcConnection(port, "/jsonrpc")
        self._start_process([find_command("aria2c", "aria2"), *self._options(port)])

    def _ping(self) -> None:
        self._call("getVersion")

    def _options(self, port: int) -> list[str]:
        job = self.settings
        options = [
            "--no-conf",
            "--enable-peer-exchange=false",
            "--bt-enable-lpd=false",
            "--enable-dht=true",
            "--enable-dht6=false",
            "--disable-ipv6=true",
            f"--dht-file-path={job.state}/dht.dat",
            f"--dht-listen-port={job.listen.port}",
            f"--listen-port={job.listen.port}",
            "--seed-ratio=0.0",
            "--file-allocation=none",
            # Where there is nothing yet, it would complain of that.
            f"--check-integrity={'true' if (job.directory / job.info.name).exists() else 'false'}",
            "--allow-overwrite=true",
            # aria2 asks a tracker again after two minutes while it has no peer at all.
            "--bt-tracker-interval=5",
            "--summary-interval=0",
            "--show-console-readout=false",
            "--console-log-level=warn",
            "--enable-color=false",
            f"--dir={job.directory}",
            "--enable-rpc",
            f"--rpc-listen-port={port}",
            f"--rpc-secret={self._secret}",
            "--rpc-max-request-size=1M",
            f"--gid={GID}",
        ]
        if job.listen.ip.startswith("127."):
            options.append(f"--interface={job.listen.ip}")
        if job.upload_rate is not None:
            options.append(f"--max-overall-upload-limit={max(1, round(job.upload_rate))}")
        if job.seed:
            # The only word of it about the tracker's answers is in its log.
            options += ["--log=-", "--log-level=info"]
        return [*options, str(job.torrent)]

    def _on_line(self, line: str) -> None:
        if not self._announced and ANNOUNCE_REPLY.search(line):
            self._announced = True
        if COMPLAINT.search(line) and not NOISE.search(line):
            self.on_output(line)

    def _call(self, method: str, *parameters: object) -> Any:
        document = {
            "jsonrpc": "2.0",
            "id": "1",
            "method": f"aria2.{method}",
            "params": [f"token:{self._secret}", *parameters],
        }
        _, _, answer = self._rpc.post(document, {})
        if not isinstance(answer, dict) or "result" not in answer:
            text = answer.get("error", {}).get("message", "") if isinstance(answer, dict) else "no JSON"
            raise AdapterError(f"aria2 refused {method}: {text}")
        return answer["result"]

    def _read_status(self) -> ClientStatus:
        told = self._call("tellStatus", GID, STATUS_KEYS)
        if told["status"] in {"error", "removed"}:
            raise AdapterError(f"aria2 gave up: {told.get('errorMessage', '')}")
        done, size = int(told["completedLength"]), int(told["totalLength"])
        whole = told.get("seeder") == "true" and done == size
        pieces = self.settings.info.pieces
        have = pieces if whole else int(told.get("bitfield") or "0", 16).bit_count()
        if self._announced and not self._log_disabled:
            self._log_disabled = True
            self._call("changeGlobalOption", {"log": ""})
        return ClientStatus(
            have,
            whole,
            self._announced,
            0 if self.settings.seed else done,
            int(told["uploadLength"]),
            int(told["connections"]),
        )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
