"""The input and output of the helper that runs scripts in many nodes."""

from __future__ import annotations

import pytest

from torrentnet.lab.engines.docker.batch_exec import command, decode_results, encode_jobs
from torrentnet.lab.engines.types import ExecResult
from torrentnet.lab.errors import EngineError


def test_each_node_needs_a_result() -> None:
    jobs = {"node-1": (4711, "true\n")}
    assert encode_jobs(jobs) == '{"node-1": [4711, "true\\n"]}'
    assert decode_results(ExecResult(0, '{"node-1": [0, "out", ""]}', ""), jobs) == {"node-1": ExecResult(0, "out", "")}
    for status, output in [
        (1, ""),
        (0, ""),
        (0, "[]"),
        (0, "{}"),
        (0, '{"node-1": 3}'),
        (0, '{"node-2": [0, "", ""]}'),
    ]:
        with pytest.raises(EngineError) as caught:
            decode_results(ExecResult(status, output, "Traceback\nnsenter: not found\n"), jobs)
        assert str(caught.value) == (
            f"the helper that sets the nodes' network failed (status {status}): nsenter: not found"
        )


def test_the_helper_runs_the_scripts_text() -> None:
    assert command()[:4] == ("python3", "-I", "-S", "-c")
    compile(command()[4], "helper", "exec")
