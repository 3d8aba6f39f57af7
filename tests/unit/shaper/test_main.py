"""The commands that need neither privileges nor a kernel with NFQUEUE."""

from __future__ import annotations

import io

import pytest

from torrentnet.shaper.__main__ import USAGE, main
from torrentnet.shaper.queues import kernel_drops


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == USAGE + "\n"


@pytest.mark.parametrize("words", [[], ["dance"], ["apply", "now"]])
def test_unknown_commands_are_usage_errors(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err == USAGE + "\n"


@pytest.mark.parametrize(
    ("state", "status", "error"),
    [
        ("queue 1 delay=20", 2, "line 1: delay=20: a duration has its unit (us, ms, s), as in delay=20ms"),
        ("x" * 600_000, 2, "a state of more than 524224 bytes"),
    ],
)
def test_an_invalid_state_starts_nothing(
    state: str, status: int, error: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(state))
    assert main(["apply"]) == status
    assert capsys.readouterr().err == f"shaper: error: {error}\n"


def test_kernel_drops_count_full_queues_and_full_sockets() -> None:
    text = (
        "    4  30166     0 1     0     3     2     8333  1\n"
        "    5  30166     7 2 65535     0     0       12  1\n"
        "something else\n"
    )
    assert kernel_drops(text) == {4: 5, 5: 0}
