"""``torrentnet up``, ``run`` and ``down``. Each function returns an exit status.

Tested by tests/unit/lab/cli/test_app.py and tests/integration/test_up.py.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING

from torrentnet.lab.api import Lab
from torrentnet.lab.cli.output import print_json, screen_width, table_lines
from torrentnet.lab.cli.progress import DRAIN_PATIENCE, open_view
from torrentnet.lab.engines.selection import choose_engine, make_engine, preload_engines, require_engine
from torrentnet.lab.engines.types import Mode, NodeStatus
from torrentnet.lab.errors import LabError
from torrentnet.lab.home import read_running_lab, remove_orphans, take_down, take_down_running_lab
from torrentnet.lab.installation import typed_command
from torrentnet.lab.paths import lab_home, scenarios_folder
from torrentnet.lab.plain_compose import compose_command, redirecting_variables
from torrentnet.lab.report.result import result_document, verdict_lines
from torrentnet.lab.report.write_page import add_page
from torrentnet.lab.run.interrupts import Interrupted, InterruptHandler
from torrentnet.lab.scenario.load import find_plan, parse_settings
from torrentnet.lab.scenario.plan.plan import Role
from torrentnet.lab.verdict.outcome import EXIT_CODES, Verdict
from torrentnet.runtime.process import EXIT_OK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torrentnet.lab.scenario.programs.given import GivenPrograms
    from torrentnet.lab.ui.own_lab import OwnLab
    from torrentnet.lab.ui.page_options import PageOptions
    from torrentnet.lab.ui.session import LiveSession


def play(
    scenario: str,
    mode: Mode,
    *,
    engine_name: str,
    runs: Path | None,
    as_json: bool,
    settings: Sequence[str] = (),
    programs: GivenPrograms | None = None,
    trust: bool = False,
    report: bool = True,
    capture: int | None = None,
    small_blocks: bool = False,
    page: PageOptions | None = None,
) -> int:
    """Bring up a scenario's lab, run it and judge it.

    Afterwards the lab is removed (``run``) or left up (``up``). ``capture`` is how many bytes of each packet are
    captured; None for no capture. ``small_blocks`` makes our peers send blocks that Wireshark can read.
    ``page`` says how the live page is served; None for no page.
    """
    plan = find_plan(scenario, scenarios_folder(), parse_settings(settings), programs)
    plan = plan.with_small_blocks() if small_blocks else plan
    home = lab_home()
    with open_view(as_json=as_json) as view:
        interrupts = InterruptHandler(view.print_line)
        with interrupts.installed(), _live_page(page, view.print_line) as session:
            view.print_line(f"{plan.name}: {plan.about}")
            for text in plan.left_out:
                view.print_line(f"not judged, because our own programs say that: {text}")
            with interrupts.shield(message=""):
                preload_engines(engine_name)
            choice = choose_engine(engine_name)
            choice.engine.trusted = trust
            view.print_line(str(choice))
            # Checked before anything is written: without an engine there is nothing to record.
            engine = require_engine(choice.engine)
            if mode is Mode.UP:
                take_down_running_lab(home, engine_name, view.print_line)
            lab = Lab(plan, engine, mode=mode, home=home, runs=runs, view=view, interrupts=interrupts, capture=capture)
            watched = _follow(lab, session)

            def announce(hint: str) -> None:
                if lab.outcome is not None and not as_json:
                    for line in verdict_lines(lab.outcome, home, hint):
                        view.print_line(line)

            def stay() -> None:
                """Let the page's verbs work on the lab that is up, until Ctrl-C."""
                if watched is not None and session is not None:
                    announce("")
                    if not as_json:
                        _print_next_steps(lab, view.print_line)
                    watched.show_verdict(gone=False)
                    session.wait(f"{plan.name} stays up then; `{typed_command('ui')}` opens its page again")

            hint, code = _play(lab, stay)
            if code is not None:
                view.patience = DRAIN_PATIENCE
            if lab.outcome is None:
                return EXIT_CODES[Verdict.INTERRUPTED]
            stayed = watched is not None and mode is Mode.UP and code is None
            if not stayed:
                announce(hint)
            if report:
                # Ctrl-C now is too late to change anything: the verdict is known, and everything is cleaned up.
                with contextlib.suppress(Interrupted), interrupts.shield(message=""):
                    add_page(lab.directory, home, view.print_line)
            if not (as_json or stayed) and code is None and mode is Mode.UP:
                _print_next_steps(lab, view.print_line)
            if watched is not None and session is not None and not stayed and code is None:
                watched.show_verdict(gone=True)
                session.wait("the lab has been removed, and the page shows what was")
    if as_json:
        print_json(result_document(lab.outcome))
    return lab.outcome.exit_code if code is None else code


def _live_page(
    page: PageOptions | None, print_line: Callable[[str], None]
) -> contextlib.AbstractContextManager[LiveSession | None]:
    """Return the live page; None where none is wanted.

    Its address is taken before there is a lab.
    """
    if page is None:
        return contextlib.nullcontext()
    # The server's libraries take their time to import.
    from torrentnet.lab.ui.session import LiveSession

    return LiveSession(page, print_line)


def _follow(lab: Lab, session: LiveSession | None) -> OwnLab | None:
    if session is None:
        return None
    from torrentnet.lab.ui.own_lab import OwnLab

    return OwnLab(lab, session)


def _play(lab: Lab, stay: Callable[[], None]) -> tuple[str, int | None]:
    """Bring a lab up, play its scenario, and remove the lab or leave it up.

    ``stay`` is called while the lab that is left up is still this process's.

    Returns a hint, and the exit status where that is not the verdict's. Raises LabError where there is no outcome.
    """
    try:
        with lab:
            lab.play()
            if lab.mode is Mode.UP:
                lab.keep()
                stay()
    except Interrupted:
        return "", EXIT_CODES[Verdict.INTERRUPTED]
    except LabError as error:
        if lab.outcome is None or error.message != lab.outcome.error:
            raise
        return error.hint, error.exit_code
    finally:
        # A signal may arrive between the end of the block and the first step of its own clean-up.
        lab.close()
    return "", None


def _print_next_steps(lab: Lab, print_line: Callable[[str], None]) -> None:
    """Show the commands with which to inspect the lab that is up."""
    running = [node for node in lab.plan.nodes if lab.engine.state(node.name).status is NodeStatus.RUNNING]
    names = [node.name for node in running or lab.plan.nodes]
    leecher = next((node.name for node in reversed(running) if node.role is Role.GET), names[-1])
    file = lab.plan.files[0].name if lab.plan.files else "NAME"
    compose = compose_command(lab.home, lab.project, lab.directory / "compose.yaml") if lab.engine.has_compose else ""
    look = [lab.engine.console_hint("tracker", words) for words in ("request logs", f"file_logs {shlex.quote(file)}")]
    look = [command.replace("docker compose", compose, 1) if compose else command for command in look]
    steps = (
        (f"{compose} ps" if compose else typed_command("status"), "its nodes"),
        (look[0], "the look-ups, and how each ended"),
        (look[1], "who has which pieces"),
        (f"{compose} logs -f {leecher}" if compose else typed_command("logs", leecher), "a node's events"),
        (typed_command("attach", leecher), "a node's command line; type `help` there"),
        (typed_command("down"), "removes everything"),
    )
    print_line("")
    print_line("the network is up:")
    for line in table_lines(("", ""), [(f"  {command}", what) for command, what in steps], screen_width()):
        print_line(line)
    exported = redirecting_variables(os.environ)
    if compose and exported:
        print_line(f"{', '.join(exported)} is exported, so that plain `docker compose` commands mean another project")


def down(engine_name: str, *, as_json: bool) -> int:
    """Remove the lab that is up, and what labs of dead owners left behind."""
    home = lab_home()
    with open_view(as_json=as_json) as view:
        interrupts = InterruptHandler(view.print_line)
        with interrupts.installed(), interrupts.shield():
            running = read_running_lab(home)
            with contextlib.closing(make_engine(running.engine if running else engine_name)) as engine:
                engine.check()
                if running:
                    view.print_line(f"removing {running.scenario}")
                take_down(engine, home, running)
                orphans = remove_orphans(engine, home, view.print_line)
            if running is None:
                view.print_line("no lab is up here")
    if as_json:
        print_json({"removed": asdict(running) if running else None, "orphans": orphans})
    return EXIT_OK
