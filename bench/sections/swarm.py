"""The textbook's swarm: the time until everybody has a file.

The time is compared with the least possible time and with that of other programs.

The setting is that of ``scenarios/textbook.yaml``: one seed with ten times a leecher's upload, unlimited downloads, all
start together, and the time of the last leecher counts. The kernel limits the uplinks, so that the programs' own limits
and their own counting of headers have no effect.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bench import ROOT, plots
from bench.section import SectionResult, Table
from bench.spread import Spread, format_number, ratios
from torrentnet.lab.scenario.language.scalars import parse_duration, parse_rate, parse_size
from torrentnet.lab.scenario.load import load_plan
from torrentnet.lab.scenario.plan.plan import Role
from torrentnet.lab.tools.distribution import distribution_bounds
from torrentnet.lab.tools.single_run import run_scenario

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.section import Context
    from torrentnet.lab.scenario.plan.plan import Plan

NAME = "swarm"
TITLE = "The swarm: time until the last leecher has the file, over the textbook's bound"

OURS, LIBTORRENT, ARIA2 = "torrentnet", "libtorrent", "aria2"
STRATEGY = "swarm"
LEECHERS: Mapping[str, tuple[int, ...]] = {OURS: (1, 5, 10, 20, 30), LIBTORRENT: (1, 5, 10, 30), ARIA2: (10,)}
QUICK_LEECHERS: Mapping[str, tuple[int, ...]] = {OURS: (5, 10), LIBTORRENT: (5, 10), ARIA2: ()}
SIZE, QUICK_SIZE = "30MB", "5MB"
RATE, SEED_RATE = "4mbit", "40mbit"
ROUND_RUNS = 3
"""A round of all programs and sizes takes minutes: there is one for so many runs that are asked for."""
MIXED = 10
LIMIT = "180s"
HEADERS = 1514 / 1448
"""Bytes on the wire for a byte of content, at best."""

SCENARIO = """\
about: The textbook's swarm, {about}.
time_limit: 4m
files:
  lecture.mp4: {{size: {size}}}
nodes:
  tracker: {{tracker: {{keepalive: 200ms, timeout: 10s}}}}
  seeder: {{share: lecture.mp4, piece_length: {piece}, client: {seed}}}
{groups}
links:
  - {{from: all, uplink: {rate}}}
  - {{from: [seeder, tracker], uplink: {seed_rate}}}
timeline:
  - {{at: 0s, stop: seeder}}
  - {{when: {everybody} is up, start: seeder, name: begin}}
expect:
  - {{node: [{names}], has: lecture.mp4, within: {limit}, after: begin}}
"""
VARIANTS = {
    "textbook_slow_seed": "a seed no faster than a leecher",
    "textbook_arrivals": "leechers come one by one",
    "textbook_leavers": "a third leaves half way",
    "textbook_unequal": "uploads of u, 2 u and 4 u",
}


@dataclass(frozen=True, slots=True)
class SwarmTimes:
    """One lab."""

    setting: str
    leechers: int
    bound: float
    """Seconds, of fluids."""
    last: float | None
    """Seconds until the last leecher that stayed had the file; None where one never had it."""
    first: float | None
    late: int
    """Leechers that were not up when it began."""
    seeds_sent: int | None
    """Bytes on the wire."""

    @property
    def ratio(self) -> float | None:
        """The time over the bound."""
        return None if self.last is None else self.last / self.bound


def run(context: Context) -> SectionResult:
    """See :class:`bench.section.Section`."""
    wanted, size = (QUICK_LEECHERS, QUICK_SIZE) if context.quick else (LEECHERS, SIZE)
    rounds = max(1, context.runs // ROUND_RUNS)
    found: dict[str, dict[int, list[SwarmTimes]]] = {
        program: {count: [] for count in counts} for program, counts in wanted.items() if counts
    }
    for turn in range(rounds):
        for count in wanted[OURS]:
            # In turns, so that a busy minute of the machine meets all of them; whoever was first is last next time.
            programs = [program for program in found if count in found[program]]
            shift = turn % len(programs)
            for program in programs[shift:] + programs[:shift]:
                plan = textbook(context.workdir, {program: count}, size)
                found[program][count].append(_measure(context, f"{count} {program}", plan))
    others = [] if context.quick else [_variant(context, name, text) for name, text in VARIANTS.items()]
    for first, second in ((OURS, LIBTORRENT), (LIBTORRENT, OURS)):
        half = textbook(context.workdir, {first: MIXED - MIXED // 2, second: MIXED // 2}, size)
        others.append(_measure(context, f"half of the leechers are libtorrent, the seed is {first}", half))
    plot = _plot(context.pictures, found)
    raw: dict[str, Any] = {
        program: {str(count): [asdict(one) for one in many] for count, many in by_count.items()}
        for program, by_count in found.items()
    }
    raw["others"] = [asdict(one) for one in others]
    return SectionResult((_table(found, size, rounds), _others_table(others)), (plot,), raw, NOTES)


def textbook(folder: Path, leechers: Mapping[str, int], size: str) -> Plan:
    """Return the textbook's scenario for these numbers of leechers of each program.

    The seed is of the first program.
    """
    groups = {program.replace("torrentnet", "ours"): (program, count) for program, count in leechers.items()}
    lines = []
    for name, (program, count) in groups.items():
        extra = f"strategy: {STRATEGY}, give_up: {LIMIT}" if program == OURS else f"client: {program}"
        lines.append(f"  {name}: {{get: lecture.mp4, count: {count}, start: 1s, {extra}}}")
    text = SCENARIO.format(
        about=", ".join(f"{count} {program}" for program, count in leechers.items()),
        size=size,
        piece=piece_length(size),
        seed=next(iter(leechers)),
        groups="\n".join(lines),
        rate=RATE,
        seed_rate=SEED_RATE,
        everybody=" and ".join(groups),
        names=", ".join(groups),
        limit=LIMIT,
    )
    path = folder / "textbook_bench.yaml"
    path.write_text(text, encoding="utf-8")
    return load_plan(path)


def piece_length(size: str) -> str:
    """Return the piece length that divides a file into some hundred pieces.

    With fewer pieces, the leechers have little to upload. With more, announcing the pieces costs as much as the pieces.
    """
    return "128KiB" if parse_size(size) > 10e6 else "64KiB"


def _measure(context: Context, setting: str, plan: Plan, bound: float | None = None) -> SwarmTimes:
    leechers = [node for node in plan.nodes if node.role is Role.GET]
    if bound is None:
        bounds = distribution_bounds(plan)
        assert bounds is not None
        bound = bounds.p2p
    outcome, seen = run_scenario(plan, "docker", home=ROOT, runs=context.workdir)
    stay = {node.name for node in leechers if node.group != "leaver"}
    done = {name: seconds for name, seconds in seen.done.items() if name in stay} if seen else {}
    measured = SwarmTimes(
        setting,
        len(leechers),
        bound,
        max(done.values()) if len(done) == len(stay) else None,
        min(done.values(), default=None),
        seen.late if seen else 0,
        seen.seeds_sent if seen else None,
    )
    said = f"{measured.last:.1f} s, {measured.ratio:.2f} times the bound" if measured.last and measured.ratio else ""
    context.say(f"{setting}: {said or f'not everybody had it ({outcome.verdict})'}")
    return measured


# ── bad circumstances ────────────────────────────────────────────────────────────────────────────────────────


def _variant(context: Context, name: str, text: str) -> SwarmTimes:
    plan = load_plan(ROOT / "scenarios" / f"{name}.yaml")
    values = dict(plan.parameters)
    bound = None
    if name == "textbook_arrivals":
        bound = arrivals_bound(
            8.0 * parse_size(values["size"]),
            parse_rate(values["seed_rate"]).bits,
            parse_rate(values["rate"]).bits,
            int(values["leechers"]),
            parse_duration(values["stagger"]),
        )
    elif name == "textbook_leavers":
        bound = leavers_bound(
            8.0 * parse_size(values["size"]),
            parse_rate(values["seed_rate"]).bits,
            parse_rate(values["rate"]).bits,
            int(values["leechers"]),
            sum(node.group == "leaver" for node in plan.nodes),
        )
    return _measure(context, text, plan, bound)


def arrivals_bound(size: float, seed: float, each: float, leechers: int, apart: float) -> float:
    """Return the least seconds until N leechers that arrive one by one have a file.

    The file has ``size`` bits. The k-th leecher arrives k times ``apart`` later.

    All that have arrived upload all the time, and what is missing when the last one has arrived takes the rest. The
    last leecher needs the whole file from the others.
    """
    sent = sum((seed + each * there) * apart for there in range(1, leechers))
    arrived = (leechers - 1) * apart
    missing = max(0.0, leechers * size - sent) / (seed + each * leechers)
    return arrived + max(missing, size / (seed + each * (leechers - 1)))


def leavers_bound(size: float, seed: float, each: float, stay: int, leave: int) -> float:
    """Return the least seconds until those who stay have a file.

    The file has ``size`` bits. The others leave with half of it.

    Until then all upload, and all have half of the file at the same moment; the rest comes from those who stay.
    """
    both = [(count * size / 2) / (seed + each * count) for count in (stay + leave, stay)]
    return max(size / seed, sum(both))


# ── what is told ─────────────────────────────────────────────────────────────────────────────────────────────


def _ratios(many: Sequence[SwarmTimes]) -> list[float]:
    return [one.ratio for one in many if one.ratio is not None]


def _cell(many: Sequence[SwarmTimes]) -> str:
    good = _ratios(many)
    if len(good) < len(many):
        return f"{len(many) - len(good)} of {len(many)} failed"
    return Spread.of(good).show() if len(good) > 1 else format_number(good[0])


def _table(found: Mapping[str, Mapping[int, Sequence[SwarmTimes]]], size: str, rounds: int) -> Table:
    rows = []
    for count, ours in found[OURS].items():
        row = [str(count), f"{ours[0].bound:.1f}", _cell(ours)]
        for program in (LIBTORRENT, ARIA2):
            theirs = found.get(program, {}).get(count)
            row.append(_cell(theirs) if theirs else "")
        theirs = found.get(LIBTORRENT, {}).get(count, ())
        both = [(one.last, other.last) for one, other in zip(ours, theirs, strict=False) if one.last and other.last]
        row.append(format_number(ratios(*zip(*both, strict=True)).median) if both else "")
        rows.append(tuple(row))
    runs = "one run of each" if rounds == 1 else f"{rounds} runs of each, in turns: median (least-most)"
    note = (
        f"Seconds until the last of N leechers had {size} over max(F/us, N F/(us + N u)); u = {RATE}, "
        f"us = {SEED_RATE}, {piece_length(size)} pieces, the seed of the same program; uplinks kept by the kernel "
        f"(htb), whole Ethernet frames counted, so that {format_number(HEADERS)} is the least there is. Time "
        f"begins when the seed has announced itself, all leechers being up. {runs.capitalize()}."
    )
    return Table(
        "The textbook's swarm", ("N", "bound s", OURS, LIBTORRENT, ARIA2, "ours / libtorrent"), tuple(rows), note
    )


def _others_table(others: Sequence[SwarmTimes]) -> Table:
    rows = tuple(
        (
            one.setting,
            str(one.leechers),
            f"{one.bound:.1f}",
            "not everybody had it" if one.last is None else f"{one.last:.1f}",
            "" if one.ratio is None else format_number(one.ratio),
        )
        for one in others
    )
    note = (
        "Each against the bound for its own circumstances: what all who are there can send together, as if nobody ever "
        "lacked something to send. One run of each; `make run scenario=textbook_slow_seed` and the like show them."
    )
    return Table(
        "Our swarm in other circumstances", ("setting", "leechers", "bound s", "last s", "over the bound"), rows, note
    )


def _plot(folder: Path, found: Mapping[str, Mapping[int, Sequence[SwarmTimes]]]) -> Path:
    drawn, axes = plots.figure()
    for index, (program, by_count) in enumerate(found.items()):
        plots.points(
            axes,
            {count: Spread.of(good) for count, many in by_count.items() if (good := _ratios(many))},
            marker="os^"[index],
            linestyle=("-", "--", ":")[index],
            color=plots.COLOURS[index],
            capsize=3,
            label=program,
        )
    axes.axhline(HEADERS, color="black", linewidth=0.8)
    axes.annotate("headers", (0.5, HEADERS), fontsize=8, va="bottom")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=1)
    axes.set_xlabel("leechers, N")
    axes.set_ylabel("time over the bound")
    axes.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.17))
    return plots.save(drawn, folder, "swarm-bound")


NOTES = """\
**Where the time goes** (N = 10, F/u = 60 s, engine local, counters of every interface each 0.05 s). Of the 8 % above
the bound, headers are 4.6 %; acknowledgements, requests, offers and news of pieces 2.3 %; the first second, in which
leechers have little to give on, 0.7 %; the last half second 0.8 %. In between the seed's uplink is busy all the time
and the leechers' 98 to 100 % of it. With a file of 7.5 MB the first and the last second weigh four times as much: 1.15
for N = 10, 1.17 for N = 30.

**What helped**: a piece is offered to one peer at a time, and asked for after the offer; whoever is poorest of three
that are looked at gets it (all uplinks together choosing the one poorest peer made the last one wait for 7 s); one
piece after the other on a slow uplink, of which the kernel is given a moment's worth only (what the kernel had taken
went out to five peers at once, in queues of 0.2 s: 1.13 before, 1.08 after); looking at what waits in this machine for
the uplink, and not at what has not been acknowledged, which beside peers with full queues of their own says nothing
(with half of the leechers libtorrent 1.35 before, 1.12 after); a new seed calling on those who wait (1.58 before, 1.13
after); at the end, asking a second peer for a piece that it would have sent much sooner; news of pieces gathered.

**What did not**: another congestion control than the machine's own (reno and BBR: the same, once the kernel has little
to decide); a bound on the pacing rate (BBR paced some connections at a fifth of what they needed); looking at a
connection only when a block is whole, to save acknowledgements (a twentieth fewer packets, and uplinks idle for 2 %);
pieces of 64 or 256 KiB; pauses of 4 ms that gather events; a fixed receive buffer; promising twice as much ahead.
"""
