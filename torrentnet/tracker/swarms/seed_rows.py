"""The complete peers of a swarm, ordered so that no address crowds out the others.

Tested by tests/unit/tracker/handlers/test_lookup.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class SeedRows:
    """Rows of complete peers, by turns: one of each address, then the second of each.

    The first page of a look-up's reply thus has peers of as many addresses as possible, even if one address has
    registered hundreds of made-up peers.
    """

    __slots__ = ("_by_ip", "_count")

    def __init__(self) -> None:
        # Nearly all addresses have one peer, whose row needs no dictionary of its own.
        self._by_ip: dict[int, int | dict[int, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        others: list[Iterator[int]] = []
        for group in self._by_ip.values():
            if isinstance(group, int):
                yield group
            else:
                rows = iter(group)
                yield next(rows)
                others.append(rows)
        while others:
            remaining: list[Iterator[int]] = []
            for rows in others:
                row = next(rows, None)
                if row is not None:
                    yield row
                    remaining.append(rows)
            others = remaining

    def add(self, row: int, ip: int) -> None:
        """Add a row with an address, as a number, behind the other rows of this address."""
        group = self._by_ip.get(ip)
        if group is None:
            self._by_ip[ip] = row
        elif isinstance(group, int):
            self._by_ip[ip] = {group: None, row: None}
        else:
            group[row] = None
        self._count += 1

    def remove(self, row: int, ip: int) -> None:
        """Remove a row that was added with this address."""
        group = self._by_ip[ip]
        if not isinstance(group, int):
            del group[row]
        if isinstance(group, int) or not group:
            del self._by_ip[ip]
        self._count -= 1
