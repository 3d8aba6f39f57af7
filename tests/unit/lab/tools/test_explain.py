from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.lab.fakes import leecher, make_plan
from tests.unit.lab.scenario.scenario_files import HEAD, SCENARIOS, load
from torrentnet.lab.scenario.load import load_plan
from torrentnet.lab.scenario.plan.events import NetworkFaultPlan
from torrentnet.lab.scenario.plan.plan import NodeProgram
from torrentnet.lab.scenario.plan.program import ProgramPlan
from torrentnet.lab.tools.explain import explain
from torrentnet.lab.tools.network_commands import network_commands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torrentnet.lab.scenario.qualities import LinkOverride

TIMELINE = """\
links:
  - {to: leecher, rate: 8mbit}
timeline:
  - {at: 5s, kill: seeder-1}
  - {at: 6s, isolate: leecher-1, for: 4s, name: lonely}
  - {at: 7s, pause: seeder-2, for: rest}
  - {at: 8s, partition: [[tracker, seeder], [leecher]], until: 20s}
  - {at: 12s, heal: [pause seeder-2, partition tracker | seeder | leecher]}
  - {at: 13s, restart: 1 of leecher}
  - {at: 14s, run: "echo 'a b'", node: [leecher-1, leecher-2]}
  - {at: 15s, console: request logs, node: tracker}
  - {when: leecher is seed, impair: {to: leecher-5, loss: 5%}, for: 3s}
expect:
  - {node: leecher, has: myfile.txt, within: 40s}
  - {node: tracker, knows: at least 7, level: warning}
"""


def names(before: Sequence[LinkOverride] | None, after: Sequence[LinkOverride]) -> list[str]:
    """Return removed and added overrides in place of commands."""
    old = before or ()
    return [f"- {patch.text}" for patch in old if patch not in after] + [
        f"+ {patch.text}" for patch in after if patch not in old
    ]


def test_a_scenario_is_explained_in_sentences(tmp_path: Path) -> None:
    plan = load(tmp_path, f"about: All that there is.\nseed: 3\n{HEAD}{TIMELINE}")
    (restarted,) = next(event for event in plan.events if event.at == 13).nodes
    assert (
        "\n".join(explain(plan, names))
        == f"""\
experiment
All that there is.
It ends after 60s at the latest. The random seed is 3.

Files
  myfile.txt: 8MiB, generated from the seed

Nodes
  tracker is the tracker, up before t = 0   --keepalive 500ms --timeout 2s
  seeder-1, seeder-2, seeder-3 share myfile.txt, up before t = 0
  leecher-1 to leecher-5 (5 nodes) get myfile.txt, started one by one from 2s to 2.8s

The network at t = 0
  to leecher, rate 8mbit
      + to leecher, rate 8mbit

What happens
       2s  leecher-1 to leecher-5 (5 nodes) start one by one, the last at 2.8s.
      docker compose start leecher-1
      # ... and so on
       5s  seeder-1 is killed (SIGKILL); a peer does not leave the swarm.
      docker compose kill --signal SIGKILL seeder-1
       6s  isolate leecher-1 for 4s (16 directed links): packets are dropped silently. [lonely]
      + isolate leecher-1
       7s  seeder-2 is paused for the rest of the run.
      docker compose pause seeder-2
       8s  partition tracker, seeder | leecher for 12s (40 directed links): packets are dropped silently.
      + partition tracker, seeder | leecher
      10s  isolate leecher-1 for 4s ends.
      - isolate leecher-1
      12s  heal pause seeder-2, partition tracker | seeder | leecher; this ends, if in force: \
pause seeder-2 for the rest of the run; partition tracker, seeder | leecher for 12s.
      docker compose unpause seeder-2
      - partition tracker, seeder | leecher
      13s  {restarted} is stopped, if running, and started again.
      docker compose stop {restarted}
      docker compose start {restarted}
      14s  leecher-1, leecher-2 run the shell command: echo 'a b'
      docker compose exec -T leecher-1 sh -c 'echo '"'"'a b'"'"''
      docker compose exec -T leecher-2 sh -c 'echo '"'"'a b'"'"''
      15s  tracker runs the console command: request logs
      docker compose exec -T tracker console request logs
  At the end, at 60s or earlier, everything is undone and the lab is removed.

What happens on a condition
  When leecher is seed: impair to leecher-5, loss 5% for 3s (8 directed links).
      + impair to leecher-5, loss 5%

What must be true
   1. every leecher (5) has myfile.txt within 40s
   2. tracker knows at least 7 peers before the end (a warning only)"""
    )


def test_engine_commands_are_shown_without_network_commands(tmp_path: Path) -> None:
    told = list(explain(load(tmp_path, HEAD + TIMELINE)))
    assert "      docker compose kill --signal SIGKILL seeder-1" in told
    assert not any(line.startswith(("      + ", "      - ")) for line in told)


def test_network_commands_come_from_the_renderer(tmp_path: Path) -> None:
    plan = load(tmp_path, HEAD + "timeline:\n  - {at: 5s, partition: {from: seeder-1, to: leecher-2}, for: 3s}\n")
    (event,) = plan.events
    assert isinstance(event, NetworkFaultPlan)
    cut = list(network_commands(plan)((), (event.override,)))
    # The receiver drops what the sender sends; the third and the sixth address of the subnet's nodes.
    assert "docker compose exec -T --privileged --user 0 leecher-2 sh -s <<'SCRIPT'" in cut
    assert "-A TORRENTNET -s 198.18.0.3/32 -j DROP" in cut
    assert not any("seeder-1 sh" in line for line in cut)
    healed = list(network_commands(plan)((event.override,), ()))
    assert "-X TORRENTNET" in healed
    assert list(network_commands(plan)((event.override,), (event.override,))) == []
    other = dict.fromkeys((node.name for node in plan.nodes), "10.0.0.9")
    assert "-A TORRENTNET -s 10.0.0.9/32 -j DROP" in network_commands(plan, addresses=other)((), (event.override,))


def test_commands_of_many_nodes_are_abbreviated(tmp_path: Path) -> None:
    plan = load(tmp_path, HEAD + "timeline:\n  - {at: 5s, impair: {between: all, loss: 5%}, for: 3s}\n")
    (event,) = plan.events
    assert isinstance(event, NetworkFaultPlan)
    patch = event.override
    short = list(network_commands(plan)((), (patch,)))
    assert sum(line.startswith("docker compose exec -T --privileged") for line in short) == 3
    assert short[-1] == "# ... and the like in 6 more nodes"
    whole = list(network_commands(plan, max_nodes=None)((), (patch,)))
    assert sum(line.startswith("docker compose exec -T --privileged") for line in whole) == 9


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: Path(path).stem)
def test_our_scenarios_can_be_explained(path: Path) -> None:
    plan = load_plan(path)
    told = "\n".join(explain(plan, network_commands(plan)))
    for event in plan.events:
        if event.when is not None:
            assert f"When {event.when.text}: " in told
    assert all(expected.text in told for expected in plan.expectations)


def test_the_translation_of_127_0_0_1_is_shown_with_its_commands() -> None:
    program = ProgramPlan("mine", None, "", "", (("get", "client"),))
    plan = make_plan(nodes=(replace(leecher(), program=NodeProgram.FOREIGN, foreign=program),))
    lines = list(explain(plan, network_commands(plan)))
    at = lines.index("The network at t = 0")
    assert lines[at + 1] == "  On 127.0.0.1, port 6771 is tracker, 6881 is leecher-1"
    rules = [line.strip() for line in lines if " -j DNAT " in line]
    assert rules[0] == "-A TORRENTNET-OUT -d 127.0.0.1/32 -p tcp --dport 6771 -j DNAT --to-destination 198.18.0.2:6771"
