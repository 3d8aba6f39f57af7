"""The sniffer's main program.

Usage: ``python3 -m torrentnet.sniffer DEVICE BYTES [ADDRESS...]``.

It writes the packets of a device, and the first BYTES bytes of each, on standard output until standard input ends. With
addresses it writes only packets from or to these. It waits for a slow reader; what comes too fast meanwhile is counted.

Tested by tests/unit/sniffer/test_main.py.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from typing import TYPE_CHECKING, Final

from torrentnet.sniffer.packet_ring import PacketRing
from torrentnet.sniffer.packet_stream import RecordKind, pack_record

if TYPE_CHECKING:
    from collections.abc import Set

STDIN, STDOUT = 0, 1
BATCH: Final = 256 * 1024
"""Bytes that are written at once."""
LOSS_INTERVAL: Final = 0.25


def main(argv: list[str]) -> int:
    """Run the program; returns the exit status."""
    device, snap = argv[1], int(argv[2])
    wanted = frozenset(socket.inet_aton(address) for address in argv[3:])
    try:
        ring = PacketRing(device, snap)
    except OSError as error:
        reason = (error.strerror or str(error)).encode()
        os.write(STDOUT, pack_record(RecordKind.FAILED, time.time_ns(), error.errno or 0, reason))
        return 1
    try:
        _run(ring, wanted)
    except BrokenPipeError:
        return 1
    finally:
        ring.close()
    return 0


def _run(ring: PacketRing, wanted: Set[bytes]) -> None:
    _write(pack_record(RecordKind.READY, time.time_ns()))
    poll = select.poll()
    poll.register(ring.fileno(), select.POLLIN)
    poll.register(STDIN, select.POLLIN)
    checked = time.monotonic()
    ending = False
    while not ending:
        ready = poll.poll(LOSS_INTERVAL * 1000)
        # Packets that were sent before the end of standard input are seen before it.
        ending = any(descriptor == STDIN for descriptor, _ in ready) and not os.read(STDIN, 1)
        _pass_on(ring, wanted)
        now = time.monotonic()
        if ending or now >= checked + LOSS_INTERVAL:
            checked = now
            if lost := ring.lost():
                _write(pack_record(RecordKind.LOST, time.time_ns(), lost))
    _write(pack_record(RecordKind.END, time.time_ns()))


def _pass_on(ring: PacketRing, wanted: Set[bytes]) -> None:
    """Write the packets that wait."""
    batch: list[bytes] = []
    size = 0
    for moment, length, data in ring.read():
        if wanted and not _concerns(data, wanted):
            continue
        batch.append(pack_record(RecordKind.PACKET, moment, length, data))
        size += len(batch[-1])
        if size >= BATCH:
            _write(b"".join(batch))
            batch, size = [], 0
    if batch:
        _write(b"".join(batch))


def _concerns(frame: bytes, wanted: Set[bytes]) -> bool:
    """Return whether an Ethernet frame is from or to one of these IPv4 addresses."""
    match frame[12:14]:
        case b"\x08\x00":
            return frame[26:30] in wanted or frame[30:34] in wanted
        case b"\x08\x06":
            return frame[28:32] in wanted or frame[38:42] in wanted
    return False


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(STDOUT, view) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv))
