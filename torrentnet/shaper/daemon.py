"""The loop: packets in, verdicts out at their time, and now and then a word with who controls us."""

import os
import select
import socket
import sys
import time
from pathlib import Path

from torrentnet.shaper.control import ControlRequest, ControlServer
from torrentnet.shaper.errors import ShaperError
from torrentnet.shaper.packet_clock import PacketClock
from torrentnet.shaper.queues import NetfilterQueues
from torrentnet.shaper.schedule import PacketSchedule
from torrentnet.shaper.state import NO_IMPAIRMENT, ShaperState, format_impairment, parse_state

EARLY_NS = 150_000
"""What is due that soon goes on at once: fewer wake-ups, and the kernel wakes a sleeper some 50 us late anyway."""
BATCH = 256
CHECK_INTERVAL_NS = 2_000_000_000
"""How often we look whether the node is still there, where its end would not be ours."""
DRAIN_TIMEOUT_NS = 11_000_000_000
"""How long a stopped daemon waits for what is under way: a little more than the longest delay with its jitter."""


class ShaperDaemon:
    """The shaper of one network namespace."""

    def __init__(self, server: ControlServer, queues: NetfilterQueues, priority: str) -> None:
        self._server = server
        self._queues = queues
        self._priority = priority
        self._schedule = PacketSchedule()
        self._clocks = PacketClock()
        self._started_ns = time.monotonic_ns()
        self._stop_at_ns: int | None = None
        self._at_home = shares_init_namespace()

    def run(self) -> None:
        """Works until it is told to stop and nothing waits any more, or until the node is gone."""
        packets, requests = self._queues.fileno(), self._server.fileno()
        look_ns = 0
        while self._stop_at_ns is None or (len(self._schedule) and time.monotonic_ns() < self._stop_at_ns):
            if not self._at_home and time.monotonic_ns() >= look_ns:
                if not has_interfaces():
                    return
                look_ns = time.monotonic_ns() + CHECK_INTERVAL_NS
            wait_ns = self._wait_ns()
            # Who sleeps for so short a time needs no one to wake him for a packet, whose arrival the kernel has noted.
            listens = wait_ns is None or wait_ns > self._schedule.state.patience_ns or not self._clocks.stamped
            sources = [packets, requests] if listens else [requests]
            ready, _, _ = select.select(sources, [], [], None if wait_ns is None else wait_ns * 1e-9)
            if packets in ready or not listens:
                self._take()
            if requests in ready:
                self._server.serve(self._answer)
            self._queues.release(self._schedule.due(time.monotonic_ns(), EARLY_NS, BATCH))

    def _wait_ns(self) -> int | None:
        next_due = self._schedule.next_due()
        if next_due is None:
            return None if self._at_home else CHECK_INTERVAL_NS
        return max(0, next_due - EARLY_NS // 2 - time.monotonic_ns())

    def _take(self) -> None:
        for packet in self._queues.receive(BATCH):
            if not self._schedule.arrive(packet, self._clocks.steady(packet.received_ns)):
                self._queues.drop(packet)

    def _answer(self, request: ControlRequest) -> tuple[int, str]:
        try:
            if request.word == "apply":
                self._apply(parse_state(request.text))
                return 0, ""
            if request.word == "status":
                return 0, self._status()
            self._schedule.replace(ShaperState(seed=self._schedule.state.seed))
            self._stop_at_ns = time.monotonic_ns() + DRAIN_TIMEOUT_NS
            return 0, ""
        except ShaperError as error:
            return error.status, str(error)

    def _apply(self, state: ShaperState) -> None:
        # A queue stays ours once it was: without a listener the kernel would drop what a rule still sends there.
        for queue, impairment in state.queues.items():
            self._queues.open(queue, copy=impairment.needs_bytes)
        self._schedule.replace(state)
        self._stop_at_ns = None

    def _status(self) -> str:
        up_ms = (time.monotonic_ns() - self._started_ns) // 1_000_000
        lines = []
        lines.append(
            f"shaper pid={os.getpid()} up_ms={up_ms} cpu_ms={time.process_time_ns() // 1_000_000} "
            f"priority={self._priority} queues={len(self._queues)} waiting={len(self._schedule)} "
            f"failed_copies={self._queues.failed_copies}"
        )
        drops = self._queues.drops()
        for number, tally in sorted(self._schedule.tallies.items()):
            asked = format_impairment(self._schedule.state.queues.get(number, NO_IMPAIRMENT))
            dropped = tally.dropped + drops.get(number, 0)
            mean_us = tally.error_ns // max(1, tally.packets) // 1_000
            lines.append(
                f'queue number={number} asked="{asked}" packets={tally.packets} late={tally.late} '
                f"mean_error_us={mean_us} worst_error_us={tally.worst_ns // 1_000} corrupted={tally.corrupted} "
                f"duplicated={tally.duplicated} overtaking={tally.overtaking} dropped={dropped}"
            )
        return "\n".join(lines)


def shares_init_namespace() -> bool:
    """Whether the first process that we see is the node's own, so that its end is ours too.

    Otherwise we were started from another container that entered the node's network, and have to notice by ourselves.
    """
    try:
        return Path("/proc/1/ns/net").stat().st_ino == Path("/proc/self/ns/net").stat().st_ino
    except OSError:
        return False


def has_interfaces() -> bool:
    """Whether this network is connected to anything: a node that has ended leaves only its loopback interface."""
    return any(name != "lo" for _, name in socket.if_nameindex())


def log_to_node(text: str, path: Path = Path("/proc/1/fd/2")) -> None:
    """Writes a line where the node's own errors go, so that it is in the node's log; our own output nobody reads."""
    if not shares_init_namespace():
        return
    moment = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment * 1000) % 1000:03d}Z"
    try:
        with path.open("w", encoding="utf-8") as out:
            out.write(f"{stamp} shaper_failed reason={_quoted(text)}\n")
    except OSError:
        print(text, file=sys.stderr)


def _quoted(text: str) -> str:
    plain = "".join(character if character.isprintable() else " " for character in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
