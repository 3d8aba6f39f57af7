"""The textbook's lower bounds for the time in which all leechers have a file.

J. F. Kurose and K. W. Ross, "Computer Networking: A Top-Down Approach", on peer-to-peer file distribution; with several
seeds and unequal peers: R. Kumar and K. W. Ross, "Peer-Assisted File Distribution: The Minimum Distribution Time",
HotWeb 2006. The model is a fluid without pieces and headers, which make measured times longer.

Tested by tests/unit/lab/tools/test_sweep.py and tests/unit/lab/report/test_run_document.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.report.record_values import finite

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torrentnet.lab.report.record_values import Document

TEXT: Final = "no way of sharing is faster"


@dataclass(frozen=True, slots=True)
class DistributionBounds:
    """The least seconds until the last leecher has the whole file."""

    client_server: float
    """Where only the seeds send: N F / us."""
    p2p: float
    """Where everybody sends: max(F / us, N F / (us + the leechers' uploads))."""


def distribution_times(size: float, seeds: float, leechers: list[float]) -> DistributionBounds:
    """Return the lower bounds for distributing ``size`` bits.

    ``seeds`` is the seeds' total upload, ``leechers`` is each leecher's upload, in bits per second.
    """
    total = len(leechers) * size
    return DistributionBounds(total / seeds, max(size / seeds, total / (seeds + sum(leechers))))


def document_bound(document: Document) -> Document | None:
    """Return the time before which no run like this one can be complete.

    None where the bound is not defined: it needs one file and an uplink of every peer. It counts from the moment at
    which a leecher was up while a seed had the file.
    """
    files, nodes = document["files"], document["nodes"]
    uplinks = {node: caps["uplink"] for caps in document["caps"] for node in caps["nodes"] if caps["uplink"]}
    seeds = [place for place, node in enumerate(nodes) if node["role"] == "share"]
    leechers = [place for place, node in enumerate(nodes) if node["role"] == "get"]
    if (
        len(files) != 1
        or not files[0]["size"]
        or not seeds
        or not leechers
        or not {*seeds, *leechers} <= uplinks.keys()
    ):
        return None
    began = _beginning(document, seeds, leechers)
    if began is None:
        return None
    least = distribution_times(
        8.0 * files[0]["size"], sum(uplinks[seed] for seed in seeds), [uplinks[leecher] for leecher in leechers]
    ).p2p
    return {"text": TEXT, "t": began + math.ceil(1000 * least)}


def _beginning(document: Document, seeds: list[int], leechers: list[int]) -> int | None:
    up = [ms for ms, node, kind, *_ in document["marks"] if kind == "listening" and node in leechers]
    if not up:
        return None
    first = min(up)
    shared = (interval for seed in seeds for interval in _seeding(document["phases"], seed))
    return min((max(first, since) for since, until in shared if until > first), default=None)


def _seeding(phases: Sequence[Sequence[Any]], seed: int) -> Iterator[tuple[int, float]]:
    """Yield the times in which a node served the whole file."""
    since: int | None = None
    for ms, node, phase in phases:
        if node == seed:
            if phase == "seed" and since is None:
                since = ms
            elif phase != "seed" and since is not None:
                yield since, ms
                since = None
    if since is not None:
        yield since, math.inf


def uplink_caps(links: Sequence[Mapping[str, Any]], own: Mapping[int, float]) -> list[Document]:
    """Return the most that nodes may send, in bits a second, as a document's ``caps``.

    ``links`` are the document's links, of which the last one wins; ``own`` is what peers were told by an option.
    """
    uplinks: dict[int, float | None] = {}
    for link in links:
        if "uplink" in link["qualities"]:
            uplinks |= dict.fromkeys((pair[0] for pair in link["pairs"]), finite(link["qualities"]["uplink"]))
    for node, rate in own.items():
        uplinks[node] = min(rate, uplinks.get(node) or math.inf)
    groups: dict[float, list[int]] = {}
    for node, uplink in sorted(uplinks.items()):
        if uplink:
            groups.setdefault(uplink, []).append(node)
    return [{"nodes": nodes, "uplink": uplink, "downlink": None} for uplink, nodes in groups.items()]
