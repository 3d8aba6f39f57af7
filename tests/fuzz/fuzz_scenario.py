"""Fuzzer of the scenario language: any bytes give a plan, or problems with places.

``run(seconds, seed, corpus)`` mutates the shipped scenarios, the wrong ones of the unit tests, and the files of
``corpus``, and loads each of them. An input that ends in any exception but ScenarioError, takes longer than
:data:`MAX_SECONDS`, or makes the process larger than :data:`MAX_GROWTH` bytes is written to ``corpus`` and reported.
"""

from __future__ import annotations

import hashlib
import random
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.lab.errors import ScenarioError
from torrentnet.lab.scenario.load import load_plan
from torrentnet.lab.tools.explain import explain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT: Final = Path(__file__).parents[2]
SEEDS: Final = (ROOT / "scenarios", ROOT / "tests" / "unit" / "lab" / "scenario" / "wrong")
MAX_SECONDS: Final = 10.0
"""For one input, on a machine under load; the usual is some milliseconds."""
MAX_GROWTH: Final = 256 * 2**20
"""Bytes by which the process may grow after its first inputs."""
WARM_UP: Final = 500
"""Inputs before the process's size is taken."""
MAX_BYTES: Final = 300_000

_WORDS: Final = [
    "all",
    "rest",
    "none",
    "null",
    "~",
    "true",
    "yes",
    "0",
    "-1",
    "-5",
    "5",
    "1e309",
    "0x10",
    "1:30",
    "99999999999999999999",
    "1e999s",
    "0.0000001s",
    "1s",
    "86400s",
    "24h",
    "9999999999h",
    "20MB",
    "20mbit",
    "1bit",
    "999999999gbit",
    "100%",
    "101%",
    "0%",
    "-5%",
    "0.05",
    "50%",
    "8MiB",
    "64GiB",
    "65GiB",
    "0B",
    "99999999999999TiB",
    "500",
    "501",
    "10000",
    "seeder",
    "seeder-1",
    "seeder-0",
    "seeder-99999999",
    "tracker",
    "leecher",
    "1of",
    "'all'",
    '"x',
    "*a",
    "&a",
    "!!python/object:os.system",
    "!!binary",
    "<<:",
    "?",
    "|",
    ">",
    "-",
    "--",
    "---",
    "...",
    "%YAML",
    "#",
    "@",
    "`",
    "$x",
    "${x}",
    "$leechers",
    "${",
    "\\",
    "/",
    "../../etc/passwd",
    "/dev/zero",
    "a/b",
    "..",
    ".",
    "kill:",
    "stop:",
    "pause:",
    "crash:",
    "partition:",
    "isolate:",
    "impair:",
    "heal:",
    "run:",
    "console:",
    "at:",
    "when:",
    "every:",
    "from:",
    "until:",
    "for:",
    "within:",
    "after:",
    "always:",
    "has:",
    "becomes:",
    "forgets:",
    "knows:",
    "log:",
    "times:",
    "state:",
    "exit:",
    "bytes:",
    "count:",
    "stagger:",
    "start:",
    "name:",
    "node:",
    "share:",
    "get:",
    "client:",
    "libtorrent",
    "aria2",
    "transmission",
    "opentracker",
    "upload:",
    "disk:",
    "as:",
    "source:",
    "size:",
]
_PHRASES: Final = (
    "1 of leecher",
    "0 of leecher",
    "30% of leecher",
    "999999 of all",
    "after kill seeder-1",
    "2s after leecher is seed",
    "leecher-1 has 50% of myfile.txt",
    "seeder-1 is up",
    "{event: bad_piece, piece: five}",
    "{at: 1s, every: 1ms}",
    "[[tracker], [all]]",
    "[[[[[[]]]]]]",
    "at least 0",
    "5 to 3",
    "at most 99999999999999",
    "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    '"\\ud800"',
    '"\\U00110000"',
    "\u2028",
    "\x85",
    "\u202e",
    "\x1b[31m",
    "\t",
    "\r",
    "\0",
)


@dataclass(frozen=True, slots=True)
class FuzzResult:
    """What a fuzzer has done."""

    inputs: int
    plans: int
    """Inputs that were valid."""
    failures: tuple[str, ...]
    """One line for each input that broke a rule, with the file that has it."""
    slowest: float
    """Seconds of processor time of the slowest input."""
    growth: int
    """Bytes by which the process grew after the first inputs."""


def run(seconds: float, seed: int, corpus: Path) -> FuzzResult:
    """Fuzz for some seconds; the same seed makes the same inputs."""
    choose = random.Random(seed)
    seeds = [path.read_bytes() for folder in SEEDS for path in sorted(folder.glob("*.yaml"))]
    if corpus.is_dir():
        seeds += [path.read_bytes() for path in sorted(corpus.iterdir()) if path.is_file()]
    made = [make() for make in _MADE]
    first = [*seeds, *made]
    failures: list[str] = []
    inputs = plans = size = 0
    slowest = 0.0
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "fuzzed.yaml")
        while inputs < len(first) or time.monotonic() < end:
            # Every seed as it is first; those that are made are large, so that few of them are mutated.
            some = made if choose.random() < 0.002 else seeds
            data = first[inputs] if inputs < len(first) else _mutate(choose, some)
            path.write_bytes(data)
            began = time.process_time()
            wrong, valid = try_file(path)
            took = time.process_time() - began
            inputs += 1
            plans += valid
            slowest = max(slowest, took)
            grown = _peak_size() - size if size else 0
            if inputs == max(WARM_UP, len(first)):
                size = _peak_size()
            if took > MAX_SECONDS:
                wrong = wrong or f"took {took:.1f} s"
            if grown > MAX_GROWTH:
                wrong, size = wrong or f"the process grew by {grown >> 20} MiB", _peak_size()
            if wrong:
                failures.append(f"{wrong}: {_keep(corpus, data)}")
    return FuzzResult(inputs, plans, tuple(failures), slowest, _peak_size() - size if size else 0)


def try_file(path: Path) -> tuple[str, bool]:
    """Return which rule a file breaks, or nothing, and whether it is a valid scenario."""
    try:
        plan = load_plan(path)
        for _ in explain(plan):
            pass
    except ScenarioError as error:
        for problem in error.problems:
            if not (problem.line >= 1 and problem.column >= 1 and problem.text):
                return f"no place: {problem!r}", False
        if any(not char.isprintable() and char != "\n" for char in str(error)):
            return "control characters in the message", False
        return "", False
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200], False
    return "", True


def _keep(corpus: Path, data: bytes) -> Path:
    corpus.mkdir(parents=True, exist_ok=True)
    path = corpus / f"scenario-{hashlib.sha256(data).hexdigest()[:16]}.yaml"
    path.write_bytes(data)
    return path


def _peak_size() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# -- inputs ------------------------------------------------------------------------------------------


def _mutate(choose: random.Random, seeds: Sequence[bytes]) -> bytes:
    data = choose.choice(seeds)
    for _ in range(choose.choice((1, 1, 1, 2, 3, 8))):
        data = choose.choice(_MUTATIONS)(choose, data, seeds)
    return data[:MAX_BYTES]


def _change_bytes(choose: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = choose.randrange(len(data) + 1)
    length = choose.choice((0, 1, 1, 2, 5, 20))
    return data[:at] + choose.randbytes(choose.randrange(4)) + data[at + length :]


def _splice(choose: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    other = choose.choice(seeds).split(b"\n")
    lines = data.split(b"\n")
    at, start = choose.randrange(len(lines) + 1), choose.randrange(len(other) + 1)
    return b"\n".join(lines[:at] + other[start : start + choose.randrange(8)] + lines[at:])


def _change_line(choose: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    at = choose.randrange(len(lines))
    line = lines[at]
    lines[at : at + 1] = choose.choice(
        (
            [],
            [line, line],
            [b" " + line],
            [line[1:]],
            [b"\t" + line],
            [line.replace(b"- ", b"-", 1)],
            [line.replace(b": ", b":", 1)],
            [line.replace(b", ", b" ", 1)],
            [line.rstrip(b"}]")],
            [line + b"}"],
            [b"  " * choose.randrange(5) + line.strip()],
        )
    )
    return b"\n".join(lines)


def _change_word(choose: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    words = data.split(b" ")
    at = choose.randrange(len(words))
    new = choose.choice((*_WORDS, *_PHRASES)).encode("utf-8", "surrogatepass")
    words[at : at + choose.randrange(2)] = [new]
    return b" ".join(words)


_MUTATIONS: Final[tuple[Callable[[random.Random, bytes, Sequence[bytes]], bytes], ...]] = (
    _change_bytes,
    _splice,
    _change_line,
    _change_word,
    _change_word,
)

_NODES: Final = b"files: {f: {size: 1MiB}}\nnodes:\n  tracker: {tracker: {}}\n"


def _alias_bomb() -> bytes:
    return b"a: &a [x, x]\n" + b"".join(
        b"%c: &%c [%s]\n" % (ord("b") + i, ord("b") + i, b", ".join([b"*%c" % (ord("a") + i)] * 10)) for i in range(20)
    )


def _deep(opening: bytes, closing: bytes = b"") -> Callable[[], bytes]:
    return lambda: b"nodes: " + opening * 20_000 + closing * 20_000


def _deep_block() -> bytes:
    return b"".join(b" " * depth + b"a:\n" for depth in range(700))


def _many_groups() -> bytes:
    return _NODES + b"".join(b"  g%d: {share: f}\n" % number for number in range(6000))


def _many_nodes() -> bytes:
    return _NODES + b"".join(b"  g%d: {share: f, count: 500}\n" % number for number in range(3000))


def _ten_thousand() -> bytes:
    return _NODES + b"  s: {share: f, count: 10000}\n"


def _many_events() -> bytes:
    events = b"".join(b"  - {every: 1ms, kill: 1 of s}\n" for _ in range(2000))
    return _NODES + b"  s: {share: f, count: 400}\ntime_limit: 24h\ntimeline:\n" + events


def _many_partitions() -> bytes:
    events = b"".join(b"  - {every: 1s, partition: [[s], [g]], for: 500ms}\n" for _ in range(300))
    return _NODES + b"  s: {share: f, count: 250}\n  g: {get: f, count: 249}\ntimeline:\n" + events


def _many_links() -> bytes:
    return _NODES + b"  s: {share: f, count: 499}\nlinks:\n" + b"  - {between: all, delay: 1ms}\n" * 3000


def _many_expectations() -> bytes:
    return _NODES + b"  s: {share: f, count: 499}\nexpect:\n" + b"  - {node: all, log: x}\n" * 4000


def _long_word() -> bytes:
    return b"about: " + b"a" * 200_000 + b"\nnodes: {%s: {}}\n" % (b"b" * 50_000)


def _unknown_keys() -> bytes:
    return b"".join(b"key%d: 1\n" % number for number in range(9000))


def _unknown_words() -> bytes:
    return _NODES + b"expect:\n" + b"".join(b"  - {node: s%d, has: f%d}\n" % (i, i) for i in range(3500))


def _circle() -> bytes:
    events = b"".join(b"  - {when: after e%d, kill: s, name: e%d}\n" % (i + 1, i) for i in range(2500))
    return _NODES + b"  s: {share: f}\ntimeline:\n" + events


def _references() -> bytes:
    events = b"".join(b"  - {when: 1ms after e%d, restart: s, name: e%d}\n" % (i - 1, i) for i in range(1, 900))
    return _NODES + b"  s: {share: f}\ntimeline:\n  - {at: 1s, restart: s, name: e0}\n" + events


def _circle_within_the_limit() -> bytes:
    events = b"".join(b"  - {when: after e%d, restart: s, name: e%d}\n" % ((i + 1) % 990, i) for i in range(990))
    return _NODES + b"  s: {share: f}\ntimeline:\n" + events


def _many_faults() -> bytes:
    events = b"".join(b"  - {every: 1s, partition: [[s], [g]], for: 500ms}\n" for _ in range(16))
    return _NODES + b"  s: {share: f, count: 250}\n  g: {get: f, count: 249}\ntimeline:\n" + events


def _as_many_links() -> bytes:
    return _NODES + b"  s: {share: f, count: 499}\nlinks:\n" + b"  - {between: all, delay: 1ms}\n" * 1000


def _big_number() -> bytes:
    return b"seed: " + b"9" * 100_000 + b"\ntime_limit: " + b"9" * 100_000 + b"s\n" + _NODES


def _parameters() -> bytes:
    return b"parameters: {x: 1}\nabout: " + b"$x" * 60_000 + b"\n" + _NODES


_MADE: Final[tuple[Callable[[], bytes], ...]] = (
    _alias_bomb,
    _deep(b"["),
    _deep(b"[", b"]"),
    _deep(b"{a: "),
    _deep(b"- "),
    _deep_block,
    _many_groups,
    _many_nodes,
    _ten_thousand,
    _many_events,
    _many_partitions,
    _many_links,
    _many_expectations,
    _long_word,
    _unknown_keys,
    _unknown_words,
    _circle,
    _references,
    _circle_within_the_limit,
    _many_faults,
    _as_many_links,
    _big_number,
    _parameters,
)
