"""Runs as documents: an ordinary one, hostile ones, and ones of little or much.

They are made up, so that a test knows who got which piece from whom.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from torrentnet.lab.report.record_values import Document

SECOND: Final = 1000
END: Final = 20 * SECOND
CUT, HEALED = 6 * SECOND, 12 * SECOND
KILLED: Final = 3 * SECOND
FORGOTTEN: Final = 5 * SECOND
TRACKER, SEEDER, SPARE, LEECHER = range(4)
PIECE: Final = 17
"""It comes to leecher-1 from spare."""
HOSTILE: Final = (
    "</script><script>document.title = 'taken'</script>",
    "<img src=x onerror=\"document.title='taken'\">",
    "\u202eexe.gpj \u2066 right to left",
    "<!--<script>",
    "\x1b[2J\x07 controls \x00 \ufffe",
    "a-line-without-a-space" * 200,
    "{{ 7 * 7 }} {% raw %} ${7*7} %s",
    "]]></style></textarea></title>",
)


def node(name: str, role: str, **more: Any) -> Document:
    """Return a node."""
    made = {
        "name": name,
        "role": role,
        "group": name.rstrip("-0123456789"),
        "address": "198.18.0.9",
        "file": -1 if role == "tracker" else 0,
        "start": 0,
        "strategy": "swarm" if role == "get" else None,
        "client": "torrentnet",
        "reports_pieces": role in ("share", "get"),
    }
    return {**made, **more}


def fault(number: int, kind: str, text: str, began: int, ended: int | None, **more: Any) -> Document:
    """Return a fault."""
    made = {
        "id": number,
        "kind": kind,
        "name": "",
        "text": text,
        "nodes": [],
        "pairs": [],
        "qualities": {},
        "planned": began,
        "began": began,
        "applied": began + 60,
        "ended": ended,
        "measured": None,
        "error": None,
        "where": "scenarios/made_up.yaml:20:5",
    }
    return {**made, **more}


def expectation(text: str, passed: bool | None, at: int, deadline: int | None, measured: str) -> Document:
    """Return an expectation with one answer."""
    answer = {
        "node": at,
        "passed": passed,
        "judged": passed is not None,
        "measured": measured,
        "time": 5 * SECOND if passed else None,
        "look": "torrentnet attach tracker",
    }
    return {
        "text": text,
        "says": text,
        "where": "scenarios/made_up.yaml:30:5",
        "level": "failure",
        "passed": passed,
        "judged": passed is not None,
        "deadline": deadline,
        "answers": [answer],
    }


def run(**changes: Any) -> Document:
    """Return the part of a document that is about the whole run."""
    made = {
        "scenario": "made_up",
        "about": "A leecher is cut off in mid-transfer.",
        "verdict": "passed",
        "exit_code": 0,
        "error": None,
        "notes": [],
        "began": "2026-11-30T17:53:36.769Z",
        "duration": END,
        "seed": 41,
        "parameters": {"leechers": 3},
        "time_limit": 60 * SECOND,
        "environment": {"engine": "local (namespaces), Python 3.11.7", "processors": "2"},
        "command": "torrentnet run made_up --engine local",
        "record": "runs/made_up/2026-11-30T17-53-36Z",
        "touched": False,
        "live": False,
    }
    return {**made, **changes}


def empty(**changes: Any) -> Document:
    """Return a document of nothing: no node, no file, no event."""
    made = {
        "version": 1,
        "run": run(duration=0, parameters={}),
        "files": [],
        "nodes": [],
        "caps": [],
        "links": [],
        "expectations": [],
        "faults": [],
        "marks": [],
        "phases": [],
        "traffic": [],
        "arrivals": {"t": [], "node": [], "piece": [], "source": []},
        "held": [],
        "binned": None,
        "logs": [],
        "logs_dropped": 0,
        "rules": [],
        "bound": None,
    }
    return {**made, **changes}


def swarm(leechers: int = 3, pieces: int = 24, seed: int = 1) -> Document:
    """Return an ordinary run.

    A seeder is killed, and leecher-1 is cut off for six seconds.
    """
    chance = random.Random(seed)
    names = [f"leecher-{number}" for number in range(1, leechers + 1)]
    nodes = [node("tracker", "tracker"), node("seeder", "share"), node("spare", "share")]
    nodes += [node(name, "get") for name in names]
    rows = []
    for receiver in range(LEECHER, LEECHER + leechers):
        for piece in range(pieces):
            t = SECOND + piece * (END - 2 * SECOND) // pieces + chance.randrange(300)
            if receiver == LEECHER and CUT <= t < HEALED:
                t = HEALED + chance.randrange(2 * SECOND)
            source = SPARE if piece == PIECE or t >= KILLED else SEEDER
            rows.append((t, receiver, piece, source))
    rows.sort()
    others = [index for index in range(len(nodes)) if index != LEECHER]
    pairs = [pair for other in others for pair in ([other, LEECHER], [LEECHER, other])]
    return empty(
        run=run(),
        files=[
            {"name": "myfile.txt", "size": pieces << 18, "pieces": pieces, "piece_length": 1 << 18, "sha256": "0" * 64}
        ],
        nodes=nodes,
        caps=[{"nodes": [SEEDER], "uplink": 8_000_000, "downlink": None}],
        expectations=[
            expectation(
                "tracker forgets seeder within 2.5s",
                True,
                TRACKER,
                FORGOTTEN + 500,
                "forgotten 2.0 s after kill seeder",
            ),
            expectation("leecher-1 has myfile.txt within 40s", True, LEECHER, 40 * SECOND, "complete at 19.0 s"),
        ],
        faults=[
            fault(0, "kill", "kill seeder", KILLED, KILLED + 60, nodes=[SEEDER]),
            fault(
                1,
                "partition",
                "partition cable-cut",
                CUT,
                HEALED,
                name="cable-cut",
                nodes=[LEECHER],
                pairs=pairs,
                measured="62 packets stopped",
            ),
            fault(2, "heal", "heal cable-cut", HEALED, HEALED + 60, nodes=[LEECHER]),
        ],
        marks=[
            [0, TRACKER, "listening", -1, "198.18.0.2:6771"],
            [20, SEEDER, "published", -1, "myfile.txt"],
            [200, LEECHER, "picked", SEEDER, "one of 2"],
            [KILLED + 20, LEECHER, "lost", SEEDER, "closed the connection"],
            [KILLED + 30, LEECHER, "picked", SPARE, "one of 1"],
            [FORGOTTEN, TRACKER, "forgotten", SEEDER, "seeder, silent for 2000 ms"],
            *([END - SECOND, index, "completed", -1, "myfile.txt"] for index in range(LEECHER, LEECHER + leechers)),
        ],
        phases=[
            [0, TRACKER, "up"],
            [0, SEEDER, "seed"],
            [KILLED, SEEDER, "gone"],
            [0, SPARE, "seed"],
            *([0, index, "waiting"] for index in range(LEECHER, LEECHER + leechers)),
            *([200, index, "get"] for index in range(LEECHER, LEECHER + leechers)),
            *([END - SECOND, index, "seed"] for index in range(LEECHER, LEECHER + leechers)),
        ],
        arrivals={name: [row[place] for row in rows] for place, name in enumerate(("t", "node", "piece", "source"))},
        held=[[SEEDER, 0, "all"], [SPARE, 0, "all"]],
        logs=[
            [0, TRACKER, "listening program=tracker"],
            [KILLED + 20, LEECHER, "source_lost peer=seeder reason=closed"],
            [FORGOTTEN, TRACKER, "forgotten peer=seeder silent_ms=2000"],
        ],
        rules=[[1, LEECHER, "-A INPUT -s 198.18.0.2 -j DROP"]],
    )


def hostile() -> Document:
    """Return an ordinary run whose every text is an attack on a page."""
    made = swarm()
    texts = iter(HOSTILE * 100)

    def attacked(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: attacked(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [attacked(inner, key) for inner in value]
        kept = key in ("verdict", "role", "kind", "phases", "level", "held", "began")
        return next(texts) if isinstance(value, str) and not kept else value

    changed: Document = attacked({**made, "marks": []})
    changed["phases"] = made["phases"]
    changed["marks"] = [[t, at, kind, peer, next(texts)] for t, at, kind, peer, _ in made["marks"]]
    # Names are unique in a run, and keys of its parameters are the scenario's.
    for index, one in enumerate(changed["nodes"]):
        one["name"] = f"{index} {one['name']}"
    changed["run"]["parameters"] = {next(texts): next(texts)}
    changed["run"]["environment"] = {next(texts): next(texts)}
    return changed


def interrupted() -> Document:
    """Return a run that Ctrl-C ended: some expectations are not judged."""
    made = swarm()
    made["run"] = run(
        verdict="interrupted", exit_code=130, error="interrupted by Ctrl-C", notes=["interrupted at 7.0 s"]
    )
    made["expectations"][1] = expectation("leecher-1 has myfile.txt within 40s", None, LEECHER, 40 * SECOND, "")
    made["faults"][1]["ended"] = None
    return made


def killed() -> Document:
    """Return the half of a record that a lab leaves when it is killed."""
    made = swarm()
    reason = "the record has no result: the lab was killed, or is still running"
    made["run"] = run(verdict="interrupted", exit_code=None, error=reason, environment={}, seed=None, duration=0)
    made["expectations"] = []
    made["faults"][1].update(applied=None, ended=None)
    return made


def failed() -> Document:
    """Return a run of which one expectation failed."""
    made = swarm()
    made["run"] = run(verdict="failed", exit_code=1)
    made["expectations"][1] = expectation(
        "leecher-1 has myfile.txt within 15s", False, LEECHER, 15 * SECOND, "18 of 24 pieces"
    )
    return made


def counted() -> Document:
    """Return a run of an older record.

    Pieces are counted; neither their numbers nor their sources are known.
    """
    made = swarm()
    count = len(made["arrivals"]["t"])
    made["arrivals"] = {**made["arrivals"], "piece": [-1] * count, "source": [-1] * count}
    for one in made["nodes"]:
        one["reports_pieces"] = False
    return made


def crowd(leechers: int = 497) -> Document:
    """Return a run of five hundred nodes."""
    return swarm(leechers, 20)


def joined() -> Document:
    """Return a run with so many pieces that they were joined."""
    made = swarm(20, 5000)
    made["binned"] = {"piece_bin": 10, "text": "1,000,000 arrivals: 10 pieces each are drawn as one"}
    made["files"][0].update(size=50_000 << 18, pieces=50_000)
    return made
