"""The daemon's loop.

It receives packets, releases them when they are due, and serves control requests.

Tested by tests/integration/test_shaper_calibration.py.
"""

import contextlib
import os
import select
import socket
import time
from pathlib import Path
from typing import Final

from torrentnet.shaper.control import ControlRequest, ControlServer
from torrentnet.shaper.errors import ShaperError
from torrentnet.shaper.packet_clock import PacketClock
from torrentnet.shaper.queues import NetfilterQueues
from torrentnet.shaper.schedule import PacketSchedule
from torrentnet.shaper.state import NO_IMPAIRMENT, ShaperState, format_impairment, parse_state

EARLY_NS: Final = 150_000
"""A packet that is due this soon is released at once: that saves wake-ups, which are some 50 us late anyway."""
BATCH: Final = 256
CHECK_INTERVAL_NS: Final = 2_000_000_000
"""How often to check that the node still exists, where its end does not end this process."""
DRAIN_TIMEOUT_NS: Final = 11_000_000_000
"""How long a stopped daemon waits for held packets: a little more than the longest delay with its jitter."""


class ShaperDaemon:
    """The shaper of one network namespace."""

    def __init__(self, server: ControlServer, queues: NetfilterQueues, priority: str) -> None:
        self._server = server
        self._queues = queues
        self._priority = priority
        self._schedule = PacketSchedule()
        self._clock = PacketClock()
        self._started_ns = time.monotonic_ns()
        self._stop_at_ns: int | None = None
        self._ends_with_node = shares_init_namespace()

    def run(self) -> None:
        """Run until it is stopped and no packet waits, or until the node has ended."""
        packets, requests = self._queues.fileno(), self._server.fileno()
        next_check_ns = 0
        while self._stop_at_ns is None or (len(self._schedule) and time.monotonic_ns() < self._stop_at_ns):
            if not self._ends_with_node and time.monotonic_ns() >= next_check_ns:
                if not has_interfaces():
                    return
                next_check_ns = time.monotonic_ns() + CHECK_INTERVAL_NS
            wait_ns = self._wait_ns()
            # After so short a sleep no packet is late, because the kernel has noted its arrival.
            listening = wait_ns is None or wait_ns > self._schedule.state.patience_ns or not self._clock.stamped
            sources = [packets, requests] if listening else [requests]
            ready, _, _ = select.select(sources, [], [], None if wait_ns is None else wait_ns * 1e-9)
            if packets in ready or not listening:
                self._receive()
            if requests in ready:
                self._server.serve(self._handle)
            self._queues.release(self._schedule.due(time.monotonic_ns(), EARLY_NS, BATCH))

    def _wait_ns(self) -> int | None:
        next_due = self._schedule.next_due()
        if next_due is None:
            return None if self._ends_with_node else CHECK_INTERVAL_NS
        return max(0, next_due - EARLY_NS // 2 - time.monotonic_ns())

    def _receive(self) -> None:
        for packet in self._queues.receive(BATCH):
            if not self._schedule.arrive(packet, self._clock.arrival_ns(packet.received_ns)):
                self._queues.drop(packet)

    def _handle(self, request: ControlRequest) -> tuple[int, str]:
        try:
            if request.command == "apply":
                self._apply(parse_state(request.text))
                return 0, ""
            if request.command == "status":
                return 0, self._status()
            self._schedule.replace(ShaperState(seed=self._schedule.state.seed))
            self._stop_at_ns = time.monotonic_ns() + DRAIN_TIMEOUT_NS
            return 0, ""
        except ShaperError as error:
            return error.status, str(error)

    def _apply(self, state: ShaperState) -> None:
        # Queues are never closed: without a listener the kernel would drop what a rule still sends there.
        for queue, impairment in state.queues.items():
            self._queues.open(queue, copy=impairment.needs_bytes)
        self._schedule.replace(state)
        self._stop_at_ns = None

    def _status(self) -> str:
        up_ms = (time.monotonic_ns() - self._started_ns) // 1_000_000
        lines = [
            (
                f"shaper pid={os.getpid()} up_ms={up_ms} cpu_ms={time.process_time_ns() // 1_000_000} "
                f"priority={self._priority} queues={len(self._queues)} waiting={len(self._schedule)} "
                f"failed_copies={self._queues.failed_copies}"
            )
        ]
        drops = self._queues.drops()
        for number, counts in sorted(self._schedule.statistics.items()):
            asked = format_impairment(self._schedule.state.queues.get(number, NO_IMPAIRMENT))
            dropped = counts.dropped + drops.get(number, 0)
            mean_us = counts.error_ns // max(1, counts.packets) // 1_000
            lines.append(
                f'queue number={number} asked="{asked}" packets={counts.packets} late={counts.late} '
                f"mean_error_us={mean_us} worst_error_us={counts.worst_ns // 1_000} corrupted={counts.corrupted} "
                f"duplicated={counts.duplicated} overtaking={counts.overtaking} dropped={dropped}"
            )
        return "\n".join(lines)


def shares_init_namespace() -> bool:
    """Return whether process 1 belongs to the node itself.

    If so, the end of process 1 also ends this process. Otherwise another container that entered the node's network
    namespace started this process, which then has to check.
    """
    try:
        return Path("/proc/1/ns/net").stat().st_ino == Path("/proc/self/ns/net").stat().st_ino
    except OSError:
        return False


def has_interfaces() -> bool:
    """Return whether this network has more than a loopback interface.

    The loopback interface is all that an ended node leaves.
    """
    return any(name != "lo" for _, name in socket.if_nameindex())


def emit_to_node(event: str, **fields: object) -> None:
    """Write an event to the node's log.

    The event is written to the node's standard error, because nobody reads this process's output.
    """
    if not shares_init_namespace():
        return
    from torrentnet.runtime.events import format_event  # for failures only: a start must be fast

    with contextlib.suppress(OSError):
        Path("/proc/1/fd/2").write_text(format_event(time.time(), event, fields) + "\n", encoding="utf-8")
