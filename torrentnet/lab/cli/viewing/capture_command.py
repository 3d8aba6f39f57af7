"""``torrentnet capture``: the packets of the lab that is up, for Wireshark.

Tested by tests/integration/test_capture.py and tests/unit/lab/cli/viewing/test_capture_command.py.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.lab.capture.block_file import BlockFile, open_given, open_new
from torrentnet.lab.capture.capture import DEFAULT_SNAP, FULL_SNAP, Capture, CapturedLab, describe
from torrentnet.lab.cli.live_commands import adopt_running_lab, require_node
from torrentnet.lab.cli.output import print_json, printable
from torrentnet.lab.engines.steady import STEADY
from torrentnet.lab.errors import LabError, UsageError
from torrentnet.lab.paths import files_root
from torrentnet.lab.run.interrupts import Interrupted
from torrentnet.runtime.events import parse_event
from torrentnet.runtime.process import EXIT_OK, EXIT_PIPE_CLOSED
from torrentnet.runtime.units import UnitError, parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torrentnet.lab.capture.capture import CaptureResult
    from torrentnet.lab.engines.types import LogLine, StateChange

STREAM: Final = "-"
STDOUT: Final = 1
POLL_INTERVAL: Final = 0.5
END_TIMEOUT: Final = 20.0
DISSECTOR: Final = "docs/torrentnet.lua"


def capture(nodes: Sequence[str], *, out: str, full: bool, duration: str, as_json: bool) -> int:
    """Capture the packets of the lab that is up.

    Ctrl-C ends that, and so do the end of the time and the end of the lab.
    """
    seconds = _parse_duration(duration)
    if out == STREAM:
        _require_stream(as_json=as_json)
    running, engine = adopt_running_lab()
    with closing(engine):
        for node in nodes:
            require_node(engine, node)
        addresses = {name: location.address for name, location in engine.locations.items()}
        snap = FULL_SNAP if full else DEFAULT_SNAP
        lab = CapturedLab(running.scenario, running.project, addresses, Path(running.record), snap)
        file = _open(out, lab.record)
        try:
            sniffer = engine.sniff(snap, [addresses[node] for node in nodes])
        except BaseException:
            file.close()
            raise
        work = Capture(lab, sniffer, file, own_events=False)

        def take_line(line: LogLine) -> None:
            event = parse_event(line.text, node=line.node)
            if event is not None:
                work.tell(STEADY.time_of_day(line.time), line.node, event.name, event.fields)

        def take_state(change: StateChange) -> None:
            fields = {"of": change.node, "state": str(change.state)}
            work.tell(STEADY.time_of_day(change.time), "lab", "node", fields)

        with _file_errors(file.name):
            work.start()
        try:
            engine.watch(take_line, take_state, lambda *_: None)
            _say(f"capturing {running.scenario}; Ctrl-C ends it")
            result = _run(work, seconds)
        finally:
            engine.unwatch()
            work.finish()
    return _report(result, file.name, as_json=as_json)


def _run(work: Capture, seconds: float | None) -> CaptureResult:
    """Wait for the end, which is also a Ctrl-C."""
    deadline = None if seconds is None else time.monotonic() + seconds
    with contextlib.suppress(Interrupted):
        while not work.wait(POLL_INTERVAL if deadline is None else min(POLL_INTERVAL, deadline - time.monotonic())):
            if deadline is not None and time.monotonic() >= deadline:
                break
    work.stop()
    # What happened last is recorded a moment later.
    if not work.wait(END_TIMEOUT):
        raise LabError(f"nobody has read the last packets within {END_TIMEOUT:g} s")
    return work.result


def _report(result: CaptureResult, name: str, *, as_json: bool) -> int:
    error = result.error
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        return EXIT_PIPE_CLOSED
    for line in describe(result, name):
        _say(line)
    if error is not None:
        raise cannot_write(name, error) if isinstance(error, OSError) else error
    if result.lab_ended:
        _say("the lab has ended")
    if name != STREAM and not as_json:
        _say(f"read it: wireshark -X lua_script:{files_root() / DISSECTOR} {name}")
    if as_json:
        print_json({"file": name, **asdict(result.counts), "lost": result.lost, "lab_ended": result.lab_ended})
    return EXIT_OK


def cannot_write(name: str, error: OSError) -> LabError:
    """Return the error for a file that cannot be opened or written."""
    return LabError(
        f"{name} cannot be written: {error.strerror or error}",
        hint="what was captured before is in the file; free some space, or name another file with `-o FILE`",
    )


def _parse_duration(text: str) -> float | None:
    if not text:
        return None
    try:
        return parse_duration(text)
    except UnitError as error:
        raise UsageError(f"--for: {error.text}", hint=error.hint) from None


def _require_stream(*, as_json: bool) -> None:
    if as_json:
        raise UsageError("`-o -` and `--json` both write to standard output", hint="remove one of them")
    if os.isatty(STDOUT):
        raise UsageError("packets are nothing for a terminal", hint="add `| wireshark -k -i -`, or name a file")


def _open(out: str, record: Path) -> BlockFile:
    with _file_errors(out or str(record)):
        if out == STREAM:
            return BlockFile(os.dup(STDOUT), STREAM)
        return open_given(Path(out)) if out else open_new(record)


@contextlib.contextmanager
def _file_errors(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cannot_write(name, error) from error


def _say(line: str) -> None:
    with contextlib.suppress(OSError):
        print(printable(line), file=sys.stderr, flush=True)
