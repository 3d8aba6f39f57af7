"""Live commands for the network between a lab's nodes.

They are the scenario's verbs, and can be undone.

::

    with lab.impair(between=("seeder", "leecher"), loss="5%") as fault:
        ...
    print(fault.measured.text())        # 31 of 640 packets lost (4.8 %)

Tested by tests/integration/test_faults.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from torrentnet.lab.errors import LabError, UsageError
from torrentnet.lab.run.node_verbs import NodeVerbs, UndoHandle
from torrentnet.lab.run.timeline.schedule import override_fields
from torrentnet.lab.scenario.language.scalars import InvalidValueError, parse_duration, parse_rate
from torrentnet.lab.scenario.plan.events import HealPlan
from torrentnet.lab.scenario.qualities import LinkOverride, LinkQualities
from torrentnet.runtime.process import EXIT_FAILED
from torrentnet.runtime.units import UnitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from torrentnet.lab.network.counters import Counters
    from torrentnet.lab.run.timeline.network_faults import NetworkFaults, OverrideResult
    from torrentnet.lab.run.timeline.schedule import FaultCounts
    from torrentnet.lab.scenario.qualities import Pair

NodeSelection: TypeAlias = "str | Sequence[str]"
ALL_NODES: Final = "all"


class NetworkFault(UndoHandle):
    """A link override that lasts until the end of the ``with`` block."""

    def __init__(
        self,
        faults: NetworkFaults,
        result: OverrideResult,
        override: LinkOverride,
        recorded: Callable[..., AbstractContextManager[dict[str, object]]],
    ) -> None:
        super().__init__(self._remove)
        self._faults = faults
        self._number = result.number
        self._recorded = recorded
        self.override = override
        self.set_in = result.nodes
        """The nodes whose rules it has changed at once; nodes that were not up get theirs later."""
        self.measured: FaultCounts | None = None
        """The packets counted while it was in force; None until it has ended."""

    def _remove(self) -> None:
        text, nodes = self.override.text, sorted({node for pair in self.override.pairs for node in pair})
        with self._recorded(HealPlan.verb, f"end of {text}", nodes, ends=self._number) as applied:
            self.measured = self._faults.remove(self._number).get(self._number)
            if self.measured is not None:
                applied["measured"] = self.measured.row()


class NetworkVerbs(NodeVerbs):
    """Verbs for the network between nodes.

    Nodes are given by name, by group, as a sequence of these, or as ``all``.
    """

    faults: NetworkFaults

    def impair(
        self,
        *,
        between: NodeSelection | None = None,
        from_: NodeSelection | None = None,
        to: NodeSelection | None = None,
        rate: float | str | None = None,
        uplink: float | str | None = None,
        delay: float | str | None = None,
        jitter: float | str | None = None,
        loss: float | str | None = None,
        corruption: float | str | None = None,
        duplication: float | str | None = None,
        reordering: float | str | None = None,
        name: str = "",
    ) -> NetworkFault:
        """Make links worse (or better: the latest override wins).

        ``between`` is a pair of selections (``("seeder", "leecher")``: all links between the two, in both directions)
        or one selection (``"all"``: all links among these nodes). ``from_`` and ``to`` select links in one direction;
        one of the two may be omitted. Values are numbers (bits per second, seconds, shares from 0 to 1) or texts as
        in a scenario (``"8mbit"``, ``"20ms"``, ``"5%"``). ``name`` is what the record calls the fault.

        Raises UsageError for wrong arguments, NothingChangedError where no link would change, EngineError where the
        engine cannot give a quality.
        """
        try:
            qualities = LinkQualities(
                rate=_parse_quality(rate, lambda text: float(parse_rate(text).bits)),
                uplink=_parse_quality(uplink, lambda text: float(parse_rate(text).bits)),
                delay=_parse_quality(delay, parse_duration),
                jitter=_parse_quality(jitter, parse_duration),
                loss=_parse_quality(loss, _parse_share),
                corruption=_parse_quality(corruption, _parse_share),
                duplication=_parse_quality(duplication, _parse_share),
                reordering=_parse_quality(reordering, _parse_share),
            )
        except UnitError as error:
            raise UsageError(error.text, hint=error.hint) from None
        except ValueError as error:
            raise UsageError(str(error)) from None
        if not qualities.asked():
            raise UsageError("impair: no quality is given", hint="add `loss=0.05`, `rate='8mbit'`, ...")
        if uplink is not None and (from_ is None or to is not None):
            raise UsageError(
                "impair: an uplink limits what a node sends to all others together",
                hint="write `from_='leecher'` without `to`, or use `rate` for single links",
            )
        where, pairs = self._select_links(between, from_, to)
        words = ", ".join(f"{name} {getattr(qualities, name):g}" for name in qualities.asked())
        return self._apply_override(LinkOverride(pairs, qualities, f"impair {where}: {words}"), name)

    def partition(self, a: NodeSelection, b: NodeSelection, *, one_way: bool = False, name: str = "") -> NetworkFault:
        """Drop all packets between two sides, silently.

        With ``one_way`` drop only those from ``a`` to ``b``.
        """
        left, right = self._select_nodes(a), self._select_nodes(b)
        if both := sorted({*left} & {*right}):
            raise UsageError(f"partition: {', '.join(both)} would be on both sides")
        pairs = {(one, other) for one in left for other in right}
        if not one_way:
            pairs |= {(other, one) for one, other in pairs}
        text = f"partition {_selection_text(a)} {'->' if one_way else '|'} {_selection_text(b)}"
        return self._apply_override(LinkOverride(frozenset(pairs), LinkQualities(cut=True), text), name)

    def isolate(self, *who: str, name: str = "") -> NetworkFault:
        """Drop all packets from and to single nodes, silently."""
        nodes = self._select_nodes(who)
        pairs = {pair for node in nodes for other in self._nodes for pair in ((node, other), (other, node))}
        links = frozenset(pair for pair in pairs if pair[0] != pair[1])
        return self._apply_override(
            LinkOverride(links, LinkQualities(cut=True), f"isolate {_selection_text(who)}"), name
        )

    def heal(self) -> None:
        """Undo all network faults and pauses that were made by verbs of this class."""
        while self._undo_handles:
            self._undo_handles.pop().end()

    def measure(self) -> dict[Pair, Counters]:
        """Return the packets counted for every pair of nodes since the lab began.

        A pair is (source, destination). Only links that were cut, lossy or limited by a rate are counted. The counts of
        a node are lost when it ends, except for those that were read at the last change before.
        """
        return self.faults.measure()

    def _apply_override(self, override: LinkOverride, name: str = "") -> NetworkFault:
        nodes = sorted({node for pair in override.pairs for node in pair})
        kind = override.text.partition(" ")[0]
        fields = {**override_fields(override), **({"name": name} if name else {})}
        with self._recorded(kind, override.text, nodes, **fields) as applied:
            result = self.faults.apply(override)
            applied |= {"fault": result.number, "set_in": list(result.nodes)}
            fault = NetworkFault(self.faults, result, override, self._recorded)
            if result.problems:
                fault.end()
                raise LabError(f"{override.text} cannot be set: {'; '.join(result.problems)}", exit_code=EXIT_FAILED)
        self.faults.mark_counters(result.number)
        return self._with_undo(fault)

    def _select_links(
        self, between: NodeSelection | None, from_: NodeSelection | None, to: NodeSelection | None
    ) -> tuple[str, frozenset[Pair]]:
        """Return a description of the links, and their pairs."""
        if between is not None:
            if from_ is not None or to is not None:
                raise UsageError("impair: `between` excludes `from_` and `to`")
            if isinstance(between, str):
                left = right = self._select_nodes(between)
                where = f"among {between}"
            else:
                if len(between) != 2:
                    raise UsageError("impair: `between` is two names, or one for all links among its nodes")
                left, right = self._select_nodes(between[0]), self._select_nodes(between[1])
                where = f"between {_selection_text(between[0])} and {_selection_text(between[1])}"
            pairs = {pair for a in left for b in right for pair in ((a, b), (b, a))}
        elif from_ is None and to is None:
            raise UsageError("impair: no link is given", hint="add `between=('seeder', 'leecher')`, or `from_=`, `to=`")
        else:
            sources, targets = self._select_nodes(from_ or ALL_NODES), self._select_nodes(to or ALL_NODES)
            pairs = {(a, b) for a in sources for b in targets}
            sides = (("from", from_), ("to", to))
            where = " ".join(f"{word} {_selection_text(who)}" for word, who in sides if who is not None)
        links = frozenset(pair for pair in pairs if pair[0] != pair[1])
        if not links:
            raise UsageError(f"impair {where}: there is no link between a node and itself")
        return where, links

    def _select_nodes(self, who: NodeSelection) -> tuple[str, ...]:
        names: Iterable[str] = [who] if isinstance(who, str) else who
        return tuple(
            dict.fromkeys(node for name in names for node in (self._nodes if name == ALL_NODES else self.select(name)))
        )


def _selection_text(who: NodeSelection) -> str:
    return who if isinstance(who, str) else ", ".join(who)


def _parse_quality(value: float | str | None, parse: Callable[[str], float]) -> float | None:
    return parse(value) if isinstance(value, str) else value


def _parse_share(text: str) -> float:
    number = text.removesuffix("%")
    try:
        if number == text:
            raise ValueError
        return float(number) / 100
    except ValueError:
        raise InvalidValueError(f"`{text}` is not a share", "write `5%`") from None
