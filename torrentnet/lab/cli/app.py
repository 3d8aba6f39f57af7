"""The command line ``torrentnet``.

Exit codes are API: see :mod:`torrentnet.lab.errors`. Each command imports its own module when it is called: a command
takes longer to import all of them than to do its work.
"""

from __future__ import annotations

import logging
import sys
import traceback
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from torrentnet import __version__
from torrentnet.lab.cli.output import print_json, print_text, printable
from torrentnet.lab.engines.selection import DEFAULT, ENVIRONMENT, NAMES
from torrentnet.lab.engines.types import Mode
from torrentnet.lab.errors import LabError, ScenarioError, UsageError, system_error
from torrentnet.lab.installation import require_one_version
from torrentnet.lab.run.hangup import hangup_watch
from torrentnet.lab.run.interrupts import Interrupted, InterruptHandler
from torrentnet.lab.ui.page_options import DEFAULT_HOST, DEFAULT_PORT, PageOptions
from torrentnet.runtime.process import EXIT_INTERRUPTED, EXIT_OK, EXIT_UNAVAILABLE
from torrentnet.runtime.standard_streams import guarded_streams

if TYPE_CHECKING:
    from torrentnet.lab.scenario.programs.given import GivenPrograms

EPILOG = (
    "Exit status: 0 every expectation holds, 1 one failed, 2 the scenario or the command line is wrong, "
    "3 nothing was judged (the engine failed, or something was lost), 130 interrupted (and cleaned up)."
)


def _exit(status: int, **_: object) -> None:
    raise typer.Exit(status)


app = typer.Typer(
    result_callback=_exit,
    name="torrentnet",
    help="A simulated network lab: UDP tracker, TCP peers, YAML scenarios.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Scenario = Annotated[str, typer.Argument(help="A scenario's name (`torrentnet scenarios`), or the path of its file.")]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        help=f"What runs the nodes: {', '.join(NAMES)}; auto is what {ENVIRONMENT} names, or the first one found.",
    ),
]
Runs = Annotated[
    Path | None, typer.Option("--runs", help="Where runs are recorded (default: runs/ of this directory).")
]


class _Output:
    """How the current command prints, and its failure."""

    json = False


def _set_json(wanted: bool) -> bool:
    _Output.json = wanted
    return wanted


Json = Annotated[
    bool,
    typer.Option(
        "--json",
        callback=_set_json,
        help="Print one JSON document on standard output; progress goes to standard error.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter of the scenario; may be given several times."),
]


Named = Annotated[
    list[str] | None,
    typer.Option(
        "--program",
        metavar="NAME=PATH",
        help="Where a program of the scenario is: a folder, a zip, a tar, or image:NAME; may be given several times.",
    ),
]
TrackerPath = Annotated[
    str | None, typer.Option("--tracker", metavar="PATH", help="A program in the place of our own tracker.")
]
PeersPath = Annotated[
    str | None, typer.Option("--peers", metavar="PATH", help="A program in the place of all our own peers.")
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust", help="Run programs that are not ours with the engine local too, which does not confine them."
    ),
]

NoReport = Annotated[bool, typer.Option("--no-report", help="Do not write report.html into the record.")]
CaptureRun = Annotated[
    bool,
    typer.Option("--capture", help="Write all packets to capture.pcapng in the record, for Wireshark."),
]
FullFrames = Annotated[
    bool, typer.Option("--full", help="Keep whole packets, not only the first 256 bytes of each; with a capture.")
]
SmallBlocks = Annotated[
    bool,
    typer.Option("--small-blocks", help="Let our peers send blocks of at most 16 KiB, which Wireshark can read."),
]

Ui = Annotated[bool, typer.Option("--ui", help="Serve the live page, until Ctrl-C.")]
Host = Annotated[
    str, typer.Option("--host", metavar="ADDRESS", help="Where the page is served; 0.0.0.0 for other machines, too.")
]
Port = Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="The page's port; 0 for a free one.")]
NoOpen = Annotated[bool, typer.Option("--no-open", help="Do not open the page in a browser.")]
ReadOnly = Annotated[bool, typer.Option("--read-only", help="Let the page change nothing.")]
AllowControl = Annotated[
    bool, typer.Option("--allow-control", help="Let those who have the page's key change the lab from other machines.")
]

# Of the grader: the scenario judges no words of our own programs.
ForAny = Annotated[bool, typer.Option("--for-any", hidden=True)]


def _given(named: list[str] | None, tracker: str | None, peers: str | None) -> GivenPrograms:
    from torrentnet.lab.scenario.programs.given import parse_programs

    return parse_programs(named or [], tracker, peers)


def _capture_options(*, wanted: bool, full: bool) -> int | None:
    """Return how many bytes of each packet are captured in a run; None for no capture."""
    from torrentnet.lab.capture.capture import DEFAULT_SNAP, FULL_SNAP

    if full and not wanted:
        raise UsageError("`--full` is for a capture", hint="add `--capture`")
    return (FULL_SNAP if full else DEFAULT_SNAP) if wanted else None


def _page(host: str, port: int, no_open: bool, read_only: bool, allow_control: bool) -> PageOptions:
    # Without a terminal there is nobody in front of a browser.
    return PageOptions(host, port, not no_open and sys.stderr.isatty(), read_only, allow_control)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"torrentnet {__version__}")
        raise typer.Exit


@app.callback()
def _all(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """A simulated network lab: UDP tracker, TCP peers, YAML scenarios."""


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="Where to write the files.")] = Path(),
    json: Json = False,
) -> int:
    """Write a first scenario, a test that runs it, and a .gitignore.

    A file that exists already is never overwritten.
    """
    from torrentnet.lab.cli import init_command

    return init_command.init(directory, as_json=json)


@app.command(epilog=EPILOG)
def up(
    scenario: Scenario,
    settings: Settings = None,
    programs: Named = None,
    tracker: TrackerPath = None,
    peers: PeersPath = None,
    trust: Trust = False,
    engine: EngineName = DEFAULT,
    runs: Runs = None,
    no_report: NoReport = False,
    capture: CaptureRun = False,
    full: FullFrames = False,
    small_blocks: SmallBlocks = False,
    ui: Ui = False,
    host: Host = DEFAULT_HOST,
    port: Port = DEFAULT_PORT,
    no_open: NoOpen = False,
    read_only: ReadOnly = False,
    allow_control: AllowControl = False,
    json: Json = False,
) -> int:
    """Bring a scenario up, run and judge it, and leave it up."""
    from torrentnet.lab.cli import run_commands

    return run_commands.play(
        scenario,
        Mode.UP,
        engine_name=engine,
        capture=_capture_options(wanted=capture, full=full),
        small_blocks=small_blocks,
        runs=runs,
        as_json=json,
        settings=settings or [],
        programs=_given(programs, tracker, peers),
        trust=trust,
        report=not no_report,
        page=_page(host, port, no_open, read_only, allow_control) if ui else None,
    )


@app.command(epilog=EPILOG)
def run(
    scenario: Scenario,
    settings: Settings = None,
    programs: Named = None,
    tracker: TrackerPath = None,
    peers: PeersPath = None,
    trust: Trust = False,
    for_any: ForAny = False,
    engine: EngineName = DEFAULT,
    runs: Runs = None,
    no_report: NoReport = False,
    capture: CaptureRun = False,
    full: FullFrames = False,
    small_blocks: SmallBlocks = False,
    ui: Ui = False,
    host: Host = DEFAULT_HOST,
    port: Port = DEFAULT_PORT,
    no_open: NoOpen = False,
    read_only: ReadOnly = False,
    allow_control: AllowControl = False,
    json: Json = False,
) -> int:
    """Bring a scenario up, run and judge it, and remove it."""
    from torrentnet.lab.cli import run_commands

    return run_commands.play(
        scenario,
        Mode.RUN,
        engine_name=engine,
        capture=_capture_options(wanted=capture, full=full),
        small_blocks=small_blocks,
        runs=runs,
        as_json=json,
        settings=settings or [],
        programs=replace(_given(programs, tracker, peers), for_any=for_any),
        trust=trust,
        report=not no_report,
        page=_page(host, port, no_open, read_only, allow_control) if ui else None,
    )


@app.command(epilog=EPILOG)
def sweep(
    scenario: Scenario,
    grid: Annotated[
        list[str] | None,
        typer.Option("--grid", metavar="NAME=A,B,C", help="Values of a parameter. Several grids: all combinations."),
    ] = None,
    repeat: Annotated[int, typer.Option("--repeat", metavar="N", help="How often to run each point.")] = 1,
    settings: Settings = None,
    programs: Named = None,
    tracker: TrackerPath = None,
    peers: PeersPath = None,
    trust: Trust = False,
    engine: EngineName = DEFAULT,
    runs: Runs = None,
    no_report: NoReport = False,
    json: Json = False,
) -> int:
    """Run a scenario over a grid of parameters.

    Each point is a run, as with `run`. Each run adds one row to sweep.csv and sweep.json: the verdict, when the first
    and the last leecher had the file, the textbook's bounds, the bytes sent. When the sweep is interrupted, the rows so
    far are kept.
    """
    from torrentnet.lab.cli import sweep_command

    return sweep_command.run_sweep(
        scenario,
        grid or [],
        repeat=repeat,
        settings=settings or [],
        engine_name=engine,
        runs=runs,
        as_json=json,
        programs=_given(programs, tracker, peers),
        trust=trust,
        report=not no_report,
    )


@app.command(epilog=EPILOG)
def grade(
    rubric: Annotated[str, typer.Argument(help="A rubric's name (simple_torrent), or the path of its file.")],
    submissions: Annotated[list[str], typer.Argument(help="Folders or archives; `image:NAME` for a Docker image.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where pages and marks are written.")],
    jobs: Annotated[
        int | None, typer.Option("--jobs", metavar="N", help="Labs at once (default: the number of processors).")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Determines contents and random choices.")] = 1,
    require: Annotated[
        float | None, typer.Option("--require", metavar="N", help="Exit with status 1 where one has fewer points.")
    ] = None,
    final: Annotated[
        bool, typer.Option("--final", help="Pages for students show sentences and marks, not what was measured.")
    ] = False,
    engine: EngineName = DEFAULT,
    trust: Trust = False,
    json: Json = False,
) -> int:
    """Grade submissions by a rubric, and write a matrix of the class.

    Each submission runs in labs of its own. A reference that must get all points is graded before, during and after.
    What is graded is kept: the same command goes on after Ctrl-C. The exit status is 0 when all are graded.
    """
    from torrentnet.lab.cli import grade_command

    return grade_command.grade(
        rubric,
        submissions,
        out=out,
        jobs=jobs,
        seed=seed,
        require=require,
        final=final,
        engine_name=engine,
        trust=trust,
        as_json=json,
    )


@app.command()
def report(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN|SCENARIO]",
            help="A directory of runs/, or a scenario: its last run. Default: the last run.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to write (default: beside the record).")
    ] = None,
    against: Annotated[
        str | None, typer.Option("--against", metavar="RUN", help="Another run, drawn on the same clock.")
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    runs: Runs = None,
    json: Json = False,
) -> int:
    """Write the report of a run: one HTML file that opens anywhere.

    It has the verdict, and a viewer with time line, map of pieces and replay. Every run writes one already, unless it
    was told `--no-report`.
    """
    from torrentnet.lab.cli.viewing import report_command

    return report_command.report(run, out=out, against=against, open_page=open_page, runs=runs, as_json=json)


@app.command()
def ui(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN|SCENARIO]", help="A record, or a scenario: its last run. Default: the lab that is up."
        ),
    ] = None,
    host: Host = DEFAULT_HOST,
    port: Port = DEFAULT_PORT,
    no_open: NoOpen = False,
    read_only: ReadOnly = False,
    allow_control: AllowControl = False,
    runs: Runs = None,
    json: Json = False,
) -> int:
    """Serve the live page of the lab that is up, until Ctrl-C.

    The page draws the lab as it runs, and its verbs kill, pause, partition and heal. What was clicked can be saved as a
    scenario. The lab stays up when the page is closed.
    """
    from torrentnet.lab.cli.viewing import ui_command

    return ui_command.ui(run, _page(host, port, no_open, read_only, allow_control), runs=runs, as_json=json)


@app.command()
def down(engine: EngineName = DEFAULT, json: Json = False) -> int:
    """Remove the lab that is up, and what killed labs left behind."""
    from torrentnet.lab.cli import run_commands

    return run_commands.down(engine, as_json=json)


@app.command()
def scenarios(json: Json = False) -> int:
    """List the scenarios."""
    from torrentnet.lab.cli import offline_commands

    return offline_commands.scenarios(as_json=json)


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(help="Scenario files.")],
    settings: Settings = None,
    programs: Named = None,
    tracker: TrackerPath = None,
    peers: PeersPath = None,
    json: Json = False,
) -> int:
    """Show every problem of scenario files."""
    from torrentnet.lab.cli import offline_commands

    given = _given(programs, tracker, peers)
    return offline_commands.validate(files, as_json=json, settings=settings or [], programs=given)


@app.command()
def inspect(
    path: Annotated[str, typer.Argument(help="A program: a folder, a zip or a tar.")],
    json: Json = False,
) -> int:
    """Show what is found in a program's folder or archive.

    And the command lines that will be run. None of them is run.
    """
    from torrentnet.lab.cli import inspect_command

    return inspect_command.inspect(path, as_json=json)


@app.command()
def explain(
    scenario: Scenario,
    settings: Settings = None,
    programs: Named = None,
    tracker: TrackerPath = None,
    peers: PeersPath = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Show the commands of every node, not only of the first.")
    ] = False,
    engine: EngineName = DEFAULT,
    json: Json = False,
) -> int:
    """Show what a scenario will do, with every command.

    The nodes, the timeline and the expectations, with the docker, tc and iptables commands that carry them out. None of
    them is run.
    """
    from torrentnet.lab.cli import offline_commands

    return offline_commands.explain(
        scenario,
        engine_name=engine,
        settings=settings or [],
        everything=everything,
        as_json=json,
        programs=_given(programs, tracker, peers),
    )


@app.command()
def graph(
    target: Annotated[
        str | None,
        typer.Argument(metavar="SCENARIO|RUN", help="A scenario, or a run's directory (default: the last run)."),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="mermaid, dot, svg or json (default: that of the file's name, or mermaid).",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to write it (default: standard output).")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="T", help="Draw this moment of the run: `2.5s` after t = 0."),
    ] = None,
    settings: Settings = None,
    runs: Runs = None,
    json: Json = False,
) -> int:
    """Draw the network of a scenario, or of a moment of a run.

    The nodes, the files that they share and get, and the links with a rate, a delay or losses; with `--at` also what
    each node was doing, and the links that were cut. A group of more than 20 nodes is drawn as one.
    """
    from torrentnet.lab.cli.viewing import graph_command

    return graph_command.graph(
        target, form="json" if json else form, out=out, at=at, settings=settings or [], runs=runs
    )


@app.command()
def doctor(engine: EngineName = DEFAULT, json: Json = False) -> int:
    """Check what this machine has, and how to get what is missing."""
    from torrentnet.lab.cli import offline_commands

    return offline_commands.doctor(engine, as_json=json)


@app.command()
def image(engine: EngineName = DEFAULT, json: Json = False) -> int:
    """Build the nodes' image where its sources have changed."""
    from torrentnet.lab.cli import offline_commands

    return offline_commands.image(engine, as_json=json)


# The words after the node are for the node: `-all` is not an option of this command.
@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def attach(
    node: Annotated[str, typer.Argument(help="A node that is up.")],
    words: Annotated[list[str] | None, typer.Argument(help="One command, in place of a prompt.")] = None,
    json: Json = False,
) -> int:
    """Open a node's command line, or run one command there.

    The words after the node are for the node: put options of `attach` before it.
    """
    from torrentnet.lab.cli import live_commands

    return live_commands.attach(node, words or [], as_json=json)


@app.command()
def logs(
    nodes: Annotated[list[str] | None, typer.Argument(help="Nodes; all by default.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Continue with new lines.")] = False,
    json: Json = False,
) -> int:
    """Print the output of the nodes."""
    from torrentnet.lab.cli import live_commands

    return live_commands.logs(nodes or [], follow=follow, as_json=json)


@app.command()
def status(
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", "-w", help="Continue until Ctrl-C, or the lab is gone. A pipe gets a line for each change."
        ),
    ] = False,
    json: Json = False,
) -> int:
    """Show the nodes and the active faults.

    Address, state and progress of every node, and what is in force in the network; also while a scenario is running.
    """
    from torrentnet.lab.cli import live_commands

    return live_commands.status(watch=watch, as_json=json)


@app.command()
def capture(
    nodes: Annotated[list[str] | None, typer.Argument(help="Only packets from or to these nodes.")] = None,
    out: Annotated[
        str,
        typer.Option("-o", "--out", metavar="FILE", help="Where to write; `-` for `-o - | wireshark -k -i -`."),
    ] = "",
    full: FullFrames = False,
    duration: Annotated[str, typer.Option("--for", metavar="TIME", help="End after this time: 30s.")] = "",
    json: Json = False,
) -> int:
    """Capture the packets of the lab that is up, for Wireshark.

    One pcapng file with the packets of all nodes, the nodes' names and events, and marks on the packets that a fault
    stopped. Ctrl-C ends it. The file is in the run's record unless `-o` names another.
    """
    from torrentnet.lab.cli.viewing import capture_command

    return capture_command.capture(nodes or [], out=out, full=full, duration=duration, as_json=json)


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit with its status.

    A failure that a person can mend is shown in a few lines.
    """
    with guarded_streams():
        status = _run(argv)
    sys.exit(status)


def _run(argv: list[str] | None) -> int:
    logging.basicConfig(level=logging.WARNING, format="torrentnet: %(message)s")
    interrupts = InterruptHandler(lambda line: print(line, file=sys.stderr))
    _Output.json = False
    try:
        with interrupts.installed(), hangup_watch():
            require_one_version()
            app(argv, prog_name="torrentnet")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else EXIT_OK if end.code is None else EXIT_UNAVAILABLE
    except Interrupted:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except LabError as error:
        return _report(error)
    except OSError as error:
        if error.filename is None and error.errno is None:
            traceback.print_exc()
        return _report(system_error(error))
    except Exception:  # status 1 is promised to be a verdict
        traceback.print_exc()
        print("torrentnet: this is a bug in torrentnet; the traceback is above", file=sys.stderr)
        return EXIT_UNAVAILABLE
    return EXIT_OK


def _report(error: LabError) -> int:
    # A problem begins with file, line and column, which editors turn into links.
    if isinstance(error, ScenarioError):
        print(printable(error.message), file=sys.stderr)
    else:
        print_text(f"torrentnet: {error.message}", sys.stderr)
    if error.hint:
        print_text(f"    {error.hint}", sys.stderr)
    if _Output.json:
        print_json(_as_json(error))
    return error.exit_code


def _as_json(error: LabError) -> dict[str, object]:
    document: dict[str, object] = {"error": error.message, "hint": error.hint or None, "exit_code": error.exit_code}
    if isinstance(error, ScenarioError):
        document["problems"] = [asdict(problem) for problem in error.problems]
    return document
