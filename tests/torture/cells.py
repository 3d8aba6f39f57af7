"""The matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.torture.torture import Cell

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMANDS: Final = ("run", "up", "down", "sweep", "logs", "watch")
JUDGED: Final = ("run", "up", "sweep")
INTERRUPTED: Final[dict[str, Any]] = {"status": (130,), "verdict": "interrupted"}
SHELL_GONE: Final[dict[str, Any]] = {"status": (130,), "verdict": "interrupted"}
LATIN: Final = (("LC_ALL", "torture"),)
PHASES: Final = ("start", "create", "run", "end")


def _outputs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what may happen to the output, which changes only what is seen."""
    for number in range(21):
        yield f"| head -{number}", {"sink": f"head -{number}"}
    yield "| true", {"sink": "true"}
    yield ">&-", {"redirect": ">&-"}
    yield "2>&-", {"redirect": "2>&-"}
    yield ">&- 2>&- <&-", {"redirect": ">&- 2>&- <&-"}
    yield "> /dev/full", {"redirect": "> /dev/full"}
    yield "> /dev/full 2>&1", {"redirect": "> /dev/full 2>&1"}
    yield "ASCII", {"environment": (("PYTHONIOENCODING", "ascii"),)}
    yield (
        "LANG=C without coercion",
        {"environment": (("LC_ALL", "C"), ("PYTHONCOERCECLOCALE", "0"), ("PYTHONUTF8", "0"))},
    )
    yield "Latin-1", {"environment": LATIN}
    yield "a terminal", {"pty": True}
    yield "ulimit -n 256", {"before": "ulimit -n 256"}


def _output_cells() -> Iterator[Cell]:
    for command in COMMANDS:
        for what, more in _outputs():
            heads = what.startswith("| head") and command in {"down", "sweep", "watch", "up"}
            if heads and int(more["sink"].rpartition("-")[2]) not in {0, 1, 3}:
                continue
            right: dict[str, Any] = {}
            if command == "logs":
                right = {"status": (0, 141)}
            if command == "watch":
                # Nothing ends it but the end of its reader, or Ctrl-C.
                right = {"status": (0, 130, 141)}
                if "sink" not in more:
                    right |= {"phase": "end", "action": "SIGINT"}
            sample = command == "run" and what == "| head -4"
            sample = sample or (command == "down" and what == "| true")
            yield Cell(command, what, sample=sample, **{**more, **right})


def _signal_cells() -> Iterator[Cell]:
    for command in ("run", "up", "sweep"):
        for phase in PHASES[1:3]:
            for name in ("SIGINT", "SIGTERM", "SIGHUP"):
                yield Cell(command, name, phase=phase, action=name, **INTERRUPTED)
            yield Cell(
                command,
                "terminal closed",
                pty=True,
                phase=phase,
                action="close",
                sample=command == "run" and phase == "run",
                **SHELL_GONE,
            )
            yield Cell(
                command,
                "ssh gone, make leads the session",
                pty=True,
                starter="make",
                phase=phase,
                action="close",
                sample=command == "up" and phase == "run",
                **SHELL_GONE,
            )
            yield Cell(command, "session leader killed", phase=phase, action="kill", **SHELL_GONE)
            yield Cell(
                command,
                "make killed",
                starter="make",
                phase=phase,
                action="kill",
                **SHELL_GONE,
            )
            yield Cell(
                command,
                "| tee, Ctrl-C",
                pty=True,
                sink="tee /dev/null",
                phase=phase,
                action="interrupt",
                **INTERRUPTED,
            )
            yield Cell(
                command, "terminal, Ctrl-C twice", pty=True, phase=phase, action="interrupt interrupt", **INTERRUPTED
            )
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        # Before anything exists there is nothing to record. 1 is of a Python that has not started yet.
        yield Cell("run", name, phase="start", action=name, status=(1, 130, 129, 143), verdict=None)
    for command in ("logs", "watch"):
        yield Cell(command, "terminal closed", pty=True, phase="end", action="close", status=(), verdict="passed")
    yield Cell("down", "terminal closed", pty=True, phase="start", action="close", status=(), verdict="passed")
    yield Cell("down", "SIGINT", phase="start", action="SIGINT", status=(0, 1, 130), verdict="passed")


def _damage_cells() -> Iterator[Cell]:
    for command in JUDGED:
        for phase in PHASES[1:3]:
            yield Cell(command, "rm -rf runs", phase=phase, action="rm", sample=command == "run" and phase == "run")
            yield Cell(command, "rm -rf runs, SIGINT", phase=phase, action="rm SIGINT", **INTERRUPTED)
            yield Cell(command, "SIGSTOP, SIGCONT", phase=phase, action="stop")
        lost: dict[str, Any] = {"status": (3,), "verdict": "not judged or error"}
        yield Cell(command, "supervisor killed", phase="run", action="supervisor", sample=command == "run", **lost)
        yield Cell(command, "nodes' parent killed", phase="run", action="nodes-parent", **lost)
        yield Cell(command, "ulimit -n 64", before="ulimit -n 64", status=(3,), verdict=None, sample=command == "run")
        stuck = "f=$(mktemp -u); mkfifo $f; exec 2<>$f; rm $f; head -c 65536 /dev/zero >&2"
        sample = command == "run"
        yield Cell(command, "--json, 2> nobody reads", before=stuck, arguments=("--json",), sample=sample)
        yield Cell(command, "full disk: record", arguments=("--runs", "FULL"), status=(3,), verdict=None)
        yield Cell(command, "full disk: record, later", arguments=("--runs", "SMALL"), status=(3,), verdict=None)
        yield Cell(command, "full disk: state and files", before="HOME_FULL", status=(3,), verdict="error")


def _docker_cells() -> Iterator[Cell]:
    yield Cell("run", "| head -4", engine="docker", sink="head -4")
    yield Cell("run", "> /dev/full", engine="docker", redirect="> /dev/full")
    yield Cell("run", "Latin-1", engine="docker", environment=LATIN)
    yield Cell("down", "| true", engine="docker", sink="true")
    for phase in PHASES[1:3]:
        yield Cell("run", "terminal closed", engine="docker", pty=True, phase=phase, action="close", **SHELL_GONE)
        yield Cell(
            "run",
            "| tee, Ctrl-C",
            engine="docker",
            pty=True,
            sink="tee /dev/null",
            phase=phase,
            action="interrupt",
            **INTERRUPTED,
        )
        yield Cell(
            "up",
            "ssh gone, make leads the session",
            engine="docker",
            pty=True,
            starter="make",
            phase=phase,
            action="close",
            **SHELL_GONE,
        )
    yield Cell("run", "rm -rf runs", engine="docker", phase="run", action="rm")
    yield Cell("run", "streams that end", engine="docker", phase="run", action="cut")
    yield Cell("run", "streams that end, three times", engine="docker", phase="run", action="cut cut cut")
    lost: dict[str, Any] = {"status": (3,), "verdict": "not judged or error"}
    for phase in PHASES[1:3]:
        yield Cell("run", "dockerd restarted", engine="docker", phase=phase, action="dockerd", **lost)
        yield Cell("run", "dockerd killed, back later", engine="docker", phase=phase, action="dockerd-killed", **lost)
    yield Cell("run", "helpers killed", engine="docker", phase="run", action="helpers", scenario="helpers.yaml")
    failed: dict[str, Any] = {"status": (3,), "verdict": "error"}
    yield Cell("run", "docker compose killed", engine="docker", phase="create", action="compose", **failed)
    yield Cell("run", "SIGSTOP, SIGCONT", engine="docker", phase="run", action="stop")


CELLS: Final = (*_output_cells(), *_signal_cells(), *_damage_cells(), *_docker_cells())
