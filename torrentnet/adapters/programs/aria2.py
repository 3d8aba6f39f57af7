"""Run aria2 and control it by JSON-RPC.

Options: https://aria2.github.io/manual/en/html/aria2c.html. The DHT is enabled, because aria2 sends its requests to UDP
trackers through the DHT's socket; it knows no DHT node, and the info dictionary is private.

Tested by tests/interop/test_aria2.py, tests/interop/test_every_pair.py.
"""

from __future__ import annotations

import re
import secrets
import signal
from typing import TYPE_CHECKING, Any, Final

from torrentnet.adapters.adapter import AdapterError, ClientStatus
from torrentnet.adapters.child_process import find_command, first_output_line, free_port
from torrentnet.adapters.rpc import HttpConnection, RpcAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

    from torrentnet.adapters.adapter import ClientSettings

GID: Final = "746f7272656e746e"
"""The download's id in aria2: any 16 hexadecimal digits."""
STATUS_KEYS: Final = (
    "status",
    "bitfield",
    "completedLength",
    "totalLength",
    "uploadLength",
    "connections",
    "errorMessage",
    "seeder",
)
ANNOUNCE_REPLY: Final = re.compile(r"UDPT received ANNOUNCE reply .*event=STARTED")
COMPLAINT: Final = re.compile(r"\[(ERROR|WARN)\]")
NOISE: Final = re.compile(r"CA certificates|DHT routing table|DHTRoutingTable")
"""Complaints about features that are not used."""


class Aria2Adapter(RpcAdapter[HttpConnection]):
    """aria2 (aria2c)."""

    name = display_name = "aria2"
    start_timeout = 20.0
    stop_signal = signal.SIGINT
    """On SIGTERM, aria2 would exit without a stopped event."""

    def __init__(self, settings: ClientSettings, on_output: Callable[[str], None]) -> None:
        super().__init__(settings, on_output, HttpConnection(0))
        self._secret = secrets.token_hex(8)
        self._announced = False
        self._log_disabled = not settings.seed

    def version(self) -> str:
        return first_output_line(find_command("aria2c", "aria2"), "--version").removeprefix("aria2 version ")

    def start(self) -> None:
        port = free_port()
        self._rpc = HttpConnection(port)
        self._start_process([find_command("aria2c", "aria2"), *self._options(port)])

    def _ping(self) -> None:
        self._call("getVersion")

    def _options(self, port: int) -> list[str]:
        settings = self.settings
        options = [
            "--no-conf",
            "--enable-peer-exchange=false",
            "--bt-enable-lpd=false",
            "--enable-dht=true",
            "--enable-dht6=false",
            "--disable-ipv6=true",
            f"--dht-file-path={settings.state}/dht.dat",
            f"--dht-listen-port={settings.listen.port}",
            f"--listen-port={settings.listen.port}",
            "--seed-ratio=0.0",
            "--file-allocation=none",
            # The check prints an error if there is no file.
            f"--check-integrity={'true' if (settings.directory / settings.info.name).exists() else 'false'}",
            "--allow-overwrite=true",
            # By default, aria2 waits two minutes before it announces again for other peers.
            "--bt-tracker-interval=5",
            "--summary-interval=0",
            "--show-console-readout=false",
            "--console-log-level=warn",
            "--enable-color=false",
            f"--dir={settings.directory}",
            "--enable-rpc",
            f"--rpc-listen-port={port}",
            f"--rpc-secret={self._secret}",
            "--rpc-max-request-size=1M",
            f"--gid={GID}",
        ]
        if settings.listen.ip.startswith("127."):
            options.append(f"--interface={settings.listen.ip}")
        if settings.upload_rate is not None:
            options.append(f"--max-overall-upload-limit={max(1, round(settings.upload_rate))}")
        if settings.seed:
            # Only the log shows that the tracker has answered.
            options += ["--log=-", "--log-level=info"]
        return [*options, str(settings.torrent)]

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
        _, _, response = self._rpc.post("/jsonrpc", document, {})
        if not isinstance(response, dict) or "result" not in response:
            text = response.get("error", {}).get("message", "") if isinstance(response, dict) else "not JSON"
            raise AdapterError(f"aria2 refused {method}: {text}")
        return response["result"]

    def _read_status(self) -> ClientStatus:
        status = self._call("tellStatus", GID, STATUS_KEYS)
        if status["status"] in {"error", "removed"}:
            raise AdapterError(f"aria2 failed: {status.get('errorMessage', '')}")
        done, size = int(status["completedLength"]), int(status["totalLength"])
        complete = status.get("seeder") == "true" and done == size
        pieces = self.settings.info.pieces
        held = pieces if complete else int(status.get("bitfield") or "0", 16).bit_count()
        if self._announced and not self._log_disabled:
            self._log_disabled = True
            self._call("changeGlobalOption", {"log": ""})
        return ClientStatus(
            held,
            complete,
            self._announced,
            0 if self.settings.seed else done,
            int(status["uploadLength"]),
            int(status["connections"]),
        )
