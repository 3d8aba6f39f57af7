"""Random scenarios that use every verb of the language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

HEAD = """\
about: A random scenario.
seed: {seed}
time_limit: 12s
files: {{a.bin: {{size: {size}KiB}}}}
nodes:
  tracker: {{tracker: {{keepalive: 300ms, timeout: 1500ms}}}}
  seeder: {{share: a.bin, count: 2, upload: {rate}mbit}}
  leecher: {{get: a.bin, count: {count}, strategy: {strategy}, stagger: 50ms}}
timeline:
"""


def _time(random: random.Random) -> str:
    return f"{random.randrange(100, 4000)}ms"


def _lasting(random: random.Random, what: str) -> str:
    return f"{what}, for: {random.randrange(200, 2000)}ms"


def _quality(random: random.Random) -> str:
    return random.choice(["loss: 5%", "rate: 8mbit", "delay: 20ms", "delay: 10ms, jitter: 5ms", "duplication: 2%"])


VERBS: dict[str, Callable[[random.Random], str]] = {
    "kill": lambda random: "kill: seeder-1",
    "stop": lambda random: "stop: 1 of leecher",
    "restart": lambda random: "restart: leecher-1",
    "start": lambda random: "start: seeder-1",
    "pause": lambda random: _lasting(random, "pause: leecher-2"),
    "partition": lambda random: _lasting(random, "partition: [seeder, leecher]"),
    "isolate": lambda random: _lasting(random, "isolate: seeder-2"),
    "impair": lambda random: _lasting(random, f"impair: {{between: all, {_quality(random)}}}"),
    "heal": lambda random: "heal: all",
    "run": lambda random: "run: ls /data, node: leecher-1",
    "console": lambda random: "console: status, node: seeder-2",
}
"""Verb of the language to an event that uses it."""
ALONE = {"kill", "start", "stop", "heal"}
"""Verbs whose order matters; added by :func:`render` itself."""


def render(random: random.Random) -> str:
    """Return the text of a scenario. All of it follows from the state of ``random``."""
    values: dict[str, Any] = {
        "seed": random.randrange(2**31),
        "size": random.choice([64, 300, 2048]),
        "rate": random.choice([8, 40]),
        "count": random.randrange(2, 5),
        "strategy": random.choice(["single", "swarm"]),
    }
    verbs = random.sample(sorted(set(VERBS) - ALONE), 3)
    lines = [f"  - {{at: {_time(random)}, {VERBS[verb](random)}}}" for verb in verbs]
    lines.append(f"  - {{at: 1s, {VERBS['kill'](random)}}}")
    lines.append(f"  - {{at: 3s, {VERBS['start'](random)}}}")
    lines.append(f"  - {{at: 4500ms, {VERBS['stop'](random)}}}")
    lines.append("  - {at: 4s, impair: {between: all, loss: 1%}, for: rest}")
    lines.append(f"  - {{at: 5s, {VERBS['heal'](random)}}}")
    return HEAD.format(**values) + "\n".join(lines) + "\nexpect:\n  - {node: seeder-2, state: running, at: 6s}\n"
