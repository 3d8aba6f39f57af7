"""What a test or a notebook does by hand to the network between the nodes: the scenario's verbs, each undoing itself.

::

    with lab.impair(between=("seeder", "leecher"), loss="5%") as fault:
        ...
    print(fault.measured.text())        # 31 of 640 packets lost (4.8 %)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from torrentnet.lab.errors import EXIT_FAILED, LabError, UsageError
from torrentnet.lab.run.node_verbs import NodeVerbs, UndoHandle
from torrentnet.lab.scenario.language.units import UnitError, parse_duration, parse_rate
from torrentnet.lab.scenario.qualities import LinkOverride, LinkQualities

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torrentnet.lab.network.counters import Counters
    from torrentnet.lab.run.timeline.fault_counts import FaultCounts
    from torrentnet.lab.run.timeline.network_faults import NetworkFaults, OverrideResult
    from torrentnet.lab.scenario.qualities import Pair

NodeSelection: TypeAlias = "str | Sequence[str]"
ALL_NODES = "all"


class NetworkFault(UndoHandle):
    """A patch on the network that lasts until the ``with`` block ends."""

    def __init__(
        self, faults: NetworkFaults, laid: OverrideResult, patch: LinkOverride, note: Callable[[NetworkFault], None]
    ) -> None:
        super().__init__(self._lift)
        self.faults = faults
        self._number = laid.number
        self._note = note
        self.patch = patch
        self.set_in = laid.nodes
        """The nodes whose rules it has changed at once."""
        self.measured: FaultCounts | None = None
        """What was counted while it was in force; None as long as it is."""

    def _lift(self) -> None:
        self.measured = self.faults.lift(self._number).get(self._number)
        self._note(self)


class NetworkVerbs(NodeVerbs):
    """The verbs of one lab's network. Nodes are meant by name, by group, as a list of these, or ``all``."""

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
    ) -> NetworkFault:
        """Make links worse (or better: the latest wins).

        ``between`` two (``("seeder", "leecher")``: each with each of the other, both ways) or among one (``"all"``);
        or ``from_`` and ``to``, of which one may be left out. Values are numbers (bits and seconds, shares from 0 to 1)
        or texts as in a scenario (``"8mbit"``, ``"20ms"``, ``"5%"``).

        Raises UsageError for what makes no sense, NoLinkChanged where nothing would change, EngineError where the
        engine cannot give a quality.
        """
        try:
            asked = LinkQualities(
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
        if not asked.asked():
            raise UsageError("impair: no quality is named", hint="`loss=0.05`, `rate='8mbit'`, ...")
        if uplink is not None and (from_ is None or to is not None):
            raise UsageError(
                "impair: an uplink is what a node sends to all others together",
                hint="`from_='leecher'` without `to`; `rate` is for the way to somebody",
            )
        where, pairs = self._links(between, from_, to)
        words = ", ".join(f"{name} {getattr(asked, name):g}" for name in asked.asked())
        return self._lay(LinkOverride(pairs, asked, f"impair {where}: {words}"))

    def partition(self, a: NodeSelection, b: NodeSelection, *, one_way: bool = False) -> NetworkFault:
        """Cut two sides off from each other, silently; with ``one_way`` only what ``a`` sends to ``b``."""
        left, right = self._who(a), self._who(b)
        if both := sorted({*left} & {*right}):
            raise UsageError(f"partition: {', '.join(both)} would be on both sides")
        pairs = {(one, other) for one in left for other in right}
        if not one_way:
            pairs |= {(other, one) for one, other in pairs}
        text = f"partition {_selection_text(a)} {'->' if one_way else '|'} {_selection_text(b)}"
        return self._lay(LinkOverride(frozenset(pairs), LinkQualities(cut=True), text))

    def isolate(self, *who: str) -> NetworkFault:
        """Cut single nodes off from everyone."""
        nodes = self._who(who)
        pairs = {pair for node in nodes for other in self._nodes for pair in ((node, other), (other, node))}
        return self._lay(
            LinkOverride(
                frozenset(pair for pair in pairs if len({*pair}) > 1),
                LinkQualities(cut=True),
                f"isolate {_selection_text(who)}",
            )
        )

    def heal(self) -> None:
        """End everything that was done by hand and can be undone: patches and pauses."""
        while self._undo_handles:
            self._undo_handles.pop().end()

    def measure(self) -> dict[Pair, Counters]:
        """What the network's rules have counted of every pair (source, destination) since the lab began.

        Only pairs that were cut, lossy or limited by a rate are counted. What a node that has ended had counted since
        its last change is gone.
        """
        return self.faults.measure()

    def _lay(self, patch: LinkOverride) -> NetworkFault:
        laid = self.faults.lay(patch)
        fault = NetworkFault(self.faults, laid, patch, self._lifted)
        self._recorder.write_lab_event("laid", text=patch.text, set_in=list(laid.nodes))
        if laid.problems:
            fault.end()
            raise LabError(f"{patch.text} cannot be set: {'; '.join(laid.problems)}", exit_code=EXIT_FAILED)
        self.faults.count_from_here(laid.number)
        return self._undone_later(fault)

    def _lifted(self, fault: NetworkFault) -> None:
        measured = {"measured": fault.measured.row()} if fault.measured is not None else {}
        self._recorder.write_lab_event("lifted", text=fault.patch.text, **measured)

    def _links(
        self, between: NodeSelection | None, from_: NodeSelection | None, to: NodeSelection | None
    ) -> tuple[str, frozenset[Pair]]:
        if between is not None:
            if from_ is not None or to is not None:
                raise UsageError("impair: `between` cannot stand beside `from_` or `to`")
            if isinstance(between, str):
                left = right = self._who(between)
                where = f"among {between}"
            else:
                if len(between) != 2:
                    raise UsageError("impair: `between` takes two names, or one for all links among them")
                left, right = self._who(between[0]), self._who(between[1])
                where = f"between {between[0]} and {between[1]}"
            pairs = {pair for a in left for b in right for pair in ((a, b), (b, a))}
        elif from_ is None and to is None:
            raise UsageError("impair: no link is named", hint="`between=('seeder', 'leecher')`, or `from_=`, `to=`")
        else:
            pairs = {(a, b) for a in self._who(from_ or ALL_NODES) for b in self._who(to or ALL_NODES)}
            where = " ".join(
                f"{word} {_selection_text(who)}" for word, who in (("from", from_), ("to", to)) if who is not None
            )
        links = frozenset(pair for pair in pairs if pair[0] != pair[1])
        if not links:
            raise UsageError(f"impair {where}: there is no link between a node and itself")
        return where, links

    def _who(self, who: NodeSelection) -> tuple[str, ...]:
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
        raise UnitError(f"`{text}` is no share", "write `5%`") from None
