"""A trial of this kernel's NFQUEUE.

It sends one delayed datagram over the loopback interface.

Tested by tests/integration/test_shaper_calibration.py.
"""

import select
import socket
import subprocess
import time
from contextlib import closing
from typing import Final

from torrentnet.shaper.errors import KernelUnsupportedError
from torrentnet.shaper.queues import NetfilterQueues
from torrentnet.shaper.rules import RESTORE
from torrentnet.shaper.schedule import PacketSchedule
from torrentnet.shaper.state import QueueImpairment, ShaperState

CHAIN: Final = "TORRENTNET-PROBE"
QUEUE: Final = 65535
DELAY_NS: Final = 20_000_000
ARRIVAL_TIMEOUT: Final = 5.0


def probe() -> str:
    """Measure one delayed datagram, and return what was measured.

    Raises KernelUnsupportedError with what is missing. The probe leaves no rules behind.
    """
    with (
        closing(NetfilterQueues()) as queues,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        queues.open(QUEUE, copy=False)
        receiver.bind(("127.0.0.1", 0))
        port = receiver.getsockname()[1]
        rule = f"-A {CHAIN} -i lo -p udp --dport {port} -j NFQUEUE --queue-num {QUEUE}"
        _restore(f":{CHAIN} - [0:0]\n{rule}\n-A INPUT -j {CHAIN}\n")
        try:
            started = time.monotonic_ns()
            sender.sendto(b"?", receiver.getsockname())
            _deliver(queues, receiver)
            took = time.monotonic_ns() - started
        finally:
            _restore(f"-D INPUT -j {CHAIN}\n-F {CHAIN}\n-X {CHAIN}\n")
    if took < DELAY_NS * 0.9:
        raise KernelUnsupportedError(f"a datagram with a delay of {DELAY_NS / 1e6:.0f} ms took {took / 1e6:.2f} ms")
    return f"NFQUEUE works: asked {DELAY_NS / 1e6:.0f} ms, measured {took / 1e6:.2f} ms"


def _deliver(queues: NetfilterQueues, receiver: socket.socket) -> None:
    schedule = PacketSchedule(ShaperState({QUEUE: QueueImpairment(delay_ns=DELAY_NS)}))
    deadline = time.monotonic() + ARRIVAL_TIMEOUT
    while time.monotonic() < deadline:
        ready, _, _ = select.select([queues.fileno(), receiver.fileno()], [], [], 0.001)
        if receiver.fileno() in ready:
            return
        now = time.monotonic_ns()
        for packet in queues.receive(16):
            schedule.arrive(packet, now)
        queues.release(schedule.due(now))
    raise KernelUnsupportedError(f"a datagram through NFQUEUE did not arrive within {ARRIVAL_TIMEOUT:.0f} s")


def _restore(lines: str) -> None:
    done = subprocess.run(RESTORE, input=f"*mangle\n{lines}COMMIT\n", text=True, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise KernelUnsupportedError(
            f"iptables has no NFQUEUE in its table mangle: {said[0] if said else done.returncode}"
        )
