"""``torrentnet ui``: the live page of the lab that is up, or of a record.

The function returns an exit status.

Tested by tests/unit/lab/ui/test_session.py and tests/unit/lab/cli/test_app.py.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from torrentnet.lab.cli.output import print_json, printable
from torrentnet.lab.cli.viewing.report_command import find_record
from torrentnet.lab.errors import UsageError
from torrentnet.lab.home import find_current_lab, read_running_lab
from torrentnet.lab.installation import typed_command
from torrentnet.lab.paths import lab_home
from torrentnet.lab.ui.record_view import RecordView
from torrentnet.lab.ui.session import LiveSession
from torrentnet.lab.ui.standing_lab import StandingLab
from torrentnet.runtime.process import EXIT_OK

if TYPE_CHECKING:
    from torrentnet.lab.ui.page_options import PageOptions


def ui(run: str | None, options: PageOptions, *, runs: Path | None, as_json: bool) -> int:
    """Serve the page until Ctrl-C; as JSON, say first where it is."""
    home = lab_home()
    running, kept = find_current_lab(home), read_running_lab(home)
    record = find_record(run, runs or home / "runs") if run else None
    if record is not None and running is not None and Path(running.record).resolve() != record:
        running = None
    if record is None and running is None:
        up = typed_command("up", "three_seeders")
        up += " ui=1" if up.startswith("make ") else " --ui"
        raise UsageError(
            "no lab is up here",
            hint=f"`{up}` brings one up with its page; `torrentnet ui SCENARIO` shows the scenario's last run",
        )
    with contextlib.ExitStack() as stack:
        session = stack.enter_context(LiveSession(options, _print_aside if as_json else _print))
        if running is not None and kept is not None and running.project == kept.project:
            stack.enter_context(contextlib.closing(StandingLab(running, home, session)))
            _say(session, as_json=as_json)
            session.wait(f"{running.scenario} stays up; `{typed_command('down')}` removes it")
        else:
            shown = record or Path(running.record if running is not None else "")
            stack.enter_context(contextlib.closing(RecordView(shown, session)))
            _say(session, as_json=as_json)
            session.wait("it changes nothing")
    return EXIT_OK


def _say(session: LiveSession, *, as_json: bool) -> None:
    if as_json:
        print_json({"page": session.address, "read_only": bool(session.read_only)})
        sys.stdout.flush()


def _print_aside(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)


def _print(line: str) -> None:
    print(printable(line), flush=True)
