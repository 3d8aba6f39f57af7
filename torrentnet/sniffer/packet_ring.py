"""A packet socket with a ring in memory that the kernel writes packets into.

See packet(7), PACKET_RX_RING.

A socket's usual buffer has 208 KiB unless the machine's owner allows more, and a packet of 64 KiB takes all of that
from it. The ring has a size of its own, and a slot holds a packet's first bytes alone, so that a burst fits. Each slot
has the packet's true length and time, so that no system call is needed for a packet. Needs CAP_NET_RAW.

Tested by tests/unit/sniffer/test_main.py.
"""

from __future__ import annotations

import ctypes
import mmap
import socket
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL: Final = (1 << 17) - 128
"""Bytes of a frame that are kept at most; a slot's head has the other ones."""

_ETH_P_ALL: Final = 3
_SOL_PACKET: Final = 263
_ADD_MEMBERSHIP, _RX_RING, _STATISTICS, _VERSION = 1, 5, 6, 10
_TPACKET_V2: Final = 1
_PROMISCUOUS: Final = 1
_SO_ATTACH_FILTER: Final = 26
_RETURN: Final = 0x06
"""Classic BPF: keep so many bytes of the packet."""
_STATUS_USER: Final = 1
_OUTGOING: Final = 4
_MIN_BLOCK: Final = 1 << 16
_MEMORY: Final = 32 << 20
_MEMORY_FULL: Final = 64 << 20
_SLOT_HEAD: Final = 128
"""At least what the kernel puts before a frame in its slot."""
_HEAD: Final = struct.Struct("=IIIHHII")
"""tpacket2_hdr: status, length, captured, offset of the frame, offset of its payload, seconds, nanoseconds."""
_TYPE_AT: Final = 32 + 10
"""Offset of sockaddr_ll's sll_pkttype in a slot."""
_STATUS: Final = struct.Struct("=I")


class PacketRing:
    """The packets of one network device, as long as it is read fast enough."""

    def __init__(self, device: str, snap: int) -> None:
        """``snap`` is how many bytes of each frame are kept. Raises OSError."""
        self._slot = 1 << (min(snap, FULL) + _SLOT_HEAD - 1).bit_length()
        block = max(_MIN_BLOCK, self._slot)
        blocks = (_MEMORY_FULL if self._slot > _MIN_BLOCK else _MEMORY) // block
        self._slots = blocks * (block // self._slot)
        self._next = 0
        # The loopback device shows each packet twice: as it leaves, and as it arrives.
        self._twice = device == "lo"
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            self._truncate(snap)
            self._socket.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V2)
            request = struct.pack("=IIII", block, blocks, self._slot, self._slots)
            self._socket.setsockopt(_SOL_PACKET, _RX_RING, request)
            self._memory = mmap.mmap(self._socket.fileno(), block * blocks)
            # A bridge passes what it forwards to those alone who ask for everything.
            index = socket.if_nametoindex(device)
            self._socket.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, struct.pack("=iHH8s", index, _PROMISCUOUS, 0, b""))
            self._socket.bind((device, _ETH_P_ALL))
        except BaseException:
            self._socket.close()
            raise

    def _truncate(self, snap: int) -> None:
        """Let the kernel copy only the first bytes of each frame: a one-line filter."""
        code = ctypes.create_string_buffer(struct.pack("=HBBI", _RETURN, 0, 0, snap))
        program = struct.pack("@HP", 1, ctypes.addressof(code))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)

    def fileno(self) -> int:
        """Return the descriptor, which is readable when a packet waits."""
        return self._socket.fileno()

    def read(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield the packets that wait.

        Each one has nanoseconds since the epoch, its length on the network, and its first bytes.
        """
        memory = self._memory
        for _ in range(self._slots):  # then the caller has its turn, however many come
            at = self._next * self._slot
            status, length, captured, offset, _, seconds, nanoseconds = _HEAD.unpack_from(memory, at)
            if not status & _STATUS_USER:
                return
            begin = at + offset
            data = memory[begin : begin + captured]
            outgoing = self._twice and memory[at + _TYPE_AT] == _OUTGOING
            _STATUS.pack_into(memory, at, 0)  # the slot is the kernel's again
            self._next = (self._next + 1) % self._slots
            if not outgoing:
                yield seconds * 1_000_000_000 + nanoseconds, length, data

    def lost(self) -> int:
        """Return how many packets found no free slot since the last call."""
        return int(struct.unpack("=II", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 8))[1])

    def close(self) -> None:
        """Close the socket and free the memory."""
        self._memory.close()
        self._socket.close()
