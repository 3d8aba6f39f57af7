"""What a test or a notebook does by hand to the network between the nodes: the scenario's verbs, each undoing itself.

::

    with lab.impair(between=("seeder", "leecher"), loss="5%") as fault:
        ...
    print(fault.measured.text())        # 31 of 640 packets lost (4.8 %)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from torrentnet.lab.errors import EXIT_FAILED, LabError, UsageError
from torrentnet.lab.quality import Patch, Qualities
from torrentnet.lab.scenario.units import UnitError, parse_duration, parse_rate
from torrentnet.lab.verbs import Undo, Verbs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torrentnet.lab.faults import Faults, Laid
    from torrentnet.lab.measured import Measured
    from torrentnet.lab.network.measure import Counters
    from torrentnet.lab.quality import Pair

Who: TypeAlias = "str | Sequence[str]"
ALL = "all"


class Fault(Undo):
    """A patch on the network that lasts until the ``with`` block ends."""

    def __init__(self, faults: Faults, laid: Laid, patch: Patch, note: Callable[[Fault], None]) -> None:
        super().__init__(self._lift)
        self._faults = faults
        self._number = laid.number
        self._note = note
        self.patch = patch
        self.set_in = laid.nodes
        """The nodes whose rules it has changed at once."""
        self.measured: Measured | None = None
        """What was counted while it was in force; None as long as it is."""

    def _lift(self) -> None:
        self.measured = self._faults.lift(self._number).get(self._number)
        self._note(self)


class NetworkVerbs(Verbs):
    """The verbs of one lab's network. Nodes are meant by name, by group, as a list of these, or ``all``."""

    faults: Faults

    def impair(
        self,
        *,
        between: Who | None = None,
        from_: Who | None = None,
        to: Who | None = None,
        rate: float | str | None = None,
        uplink: float | str | None = None,
        delay: float | str | None = None,
        jitter: float | str | None = None,
        loss: float | str | None = None,
        corruption: float | str | None = None,
        duplication: float | str | None = None,
        reordering: float | str | None = None,
    ) -> Fault:
        """Make links worse (or better: the latest wins).

        ``between`` two (``("seeder", "leecher")``: each with each of the other, both ways) or among one (``"all"``);
        or ``from_`` and ``to``, of which one may be left out. Values are numbers (bits and seconds, shares from 0 to 1)
        or texts as in a scenario (``"8mbit"``, ``"20ms"``, ``"5%"``).

        Raises UsageError for what makes no sense, NoLinkChanged where nothing would change, EngineError where the
        engine cannot give a quality.
        """
        try:
            asked = Qualities(
                rate=_number(rate, lambda text: float(parse_rate(text).bits)),
                uplink=_number(uplink, lambda text: float(parse_rate(text).bits)),
                delay=_number(delay, parse_duration),
                jitter=_number(jitter, parse_duration),
                loss=_number(loss, _share),
                corruption=_number(corruption, _share),
                duplication=_number(duplication, _share),
                reordering=_number(reordering, _share),
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
        return self._lay(Patch(pairs, asked, f"impair {where}: {words}"))

    def partition(self, a: Who, b: Who, *, one_way: bool = False) -> Fault:
        """Cut two sides off from each other, silently; with ``one_way`` only what ``a`` sends to ``b``."""
        left, right = self._who(a), self._who(b)
        if both := sorted({*left} & {*right}):
            raise UsageError(f"partition: {', '.join(both)} would be on both sides")
        pairs = {(one, other) for one in left for other in right}
        if not one_way:
            pairs |= {(other, one) for one, other in pairs}
        text = f"partition {_say(a)} {'->' if one_way else '|'} {_say(b)}"
        return self._lay(Patch(frozenset(pairs), Qualities(cut=True), text))

    def isolate(self, *who: str) -> Fault:
        """Cut single nodes off from everyone."""
        nodes = self._who(who)
        pairs = {pair for node in nodes for other in self._nodes for pair in ((node, other), (other, node))}
        return self._lay(
            Patch(frozenset(pair for pair in pairs if len({*pair}) > 1), Qualities(cut=True), f"isolate {_say(who)}")
        )

    def heal(self) -> None:
        """End everything that was done by hand and can be undone: patches and pauses."""
        while self._by_hand:
            self._by_hand.pop().end()

    def measure(self) -> dict[Pair, Counters]:
        """What the network's rules have counted of every pair (source, destination) since the lab began.

        Only pairs that were cut, lossy or limited by a rate are counted. What a node that has ended had counted since
        its last change is gone.
        """
        return self.faults.measure()

    def _lay(self, patch: Patch) -> Fault:
        laid = self.faults.lay(patch)
        fault = Fault(self.faults, laid, patch, self._lifted)
        self._recorder.lab("laid", text=patch.text, set_in=list(laid.nodes))
        if laid.problems:
            fault.end()
            raise LabError(f"{patch.text} cannot be set: {'; '.join(laid.problems)}", exit_code=EXIT_FAILED)
        self.faults.count_from_here(laid.number)
        return self._undone_later(fault)

    def _lifted(self, fault: Fault) -> None:
        measured = {"measured": fault.measured.row()} if fault.measured is not None else {}
        self._recorder.lab("lifted", text=fault.patch.text, **measured)

    def _links(self, between: Who | None, from_: Who | None, to: Who | None) -> tuple[str, frozenset[Pair]]:
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
            pairs = {(a, b) for a in self._who(from_ or ALL) for b in self._who(to or ALL)}
            where = " ".join(f"{word} {_say(who)}" for word, who in (("from", from_), ("to", to)) if who is not None)
        links = frozenset(pair for pair in pairs if pair[0] != pair[1])
        if not links:
            raise UsageError(f"impair {where}: there is no link between a node and itself")
        return where, links

    def _who(self, who: Who) -> tuple[str, ...]:
        names: Iterable[str] = [who] if isinstance(who, str) else who
        return tuple(
            dict.fromkeys(node for name in names for node in (self._nodes if name == ALL else self.select(name)))
        )


def _say(who: Who) -> str:
    return who if isinstance(who, str) else ", ".join(who)


def _number(value: float | str | None, parse: Callable[[str], float]) -> float | None:
    return parse(value) if isinstance(value, str) else value


def _share(text: str) -> float:
    number = text.removesuffix("%")
    try:
        if number == text:
            raise ValueError
        return float(number) / 100
    except ValueError:
        raise UnitError(f"`{text}` is no share", "write `5%`") from None
