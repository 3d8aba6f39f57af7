"""The command line ``torrentnet``. Exit codes are API: see :mod:`torrentnet.lab.errors`."""

from __future__ import annotations

import importlib.metadata
import logging
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from torrentnet.lab import commands
from torrentnet.lab.engines import DEFAULT, NAMES
from torrentnet.lab.engines.base import Mode
from torrentnet.lab.errors import EXIT_ENGINE, EXIT_INTERRUPTED, LabError, ScenarioError
from torrentnet.lab.interrupt import Interrupted, Interrupts
from torrentnet.lab.view import printable

EPILOG = (
    "Exit status: 0 every expectation holds, 1 one failed, 2 the scenario or the command line is wrong, "
    "3 the engine failed or is missing, 130 interrupted (and cleaned up)."
)

app = typer.Typer(
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
EngineName = Annotated[str, typer.Option("--engine", help=f"What runs the nodes: {', '.join(NAMES)}.")]
Runs = Annotated[Path | None, typer.Option("--runs", help="Where runs are recorded (default: runs/ in the checkout).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output; progress goes to standard error.")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"torrentnet {importlib.metadata.version('torrentnet')}")
        raise typer.Exit


@app.callback()
def _all(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """A simulated network lab: UDP tracker, TCP peers, YAML scenarios."""


@app.command(epilog=EPILOG)
def up(scenario: Scenario, engine: EngineName = DEFAULT, runs: Runs = None, json: Json = False) -> None:
    """Bring a scenario up, let it happen, judge it, and leave it up."""
    raise typer.Exit(commands.play(scenario, Mode.UP, engine_name=engine, runs=runs, as_json=json))


@app.command(epilog=EPILOG)
def run(scenario: Scenario, engine: EngineName = DEFAULT, runs: Runs = None, json: Json = False) -> None:
    """Bring a scenario up, let it happen, judge it, and remove it."""
    raise typer.Exit(commands.play(scenario, Mode.RUN, engine_name=engine, runs=runs, as_json=json))


@app.command()
def down(engine: EngineName = DEFAULT) -> None:
    """Remove what `up` left, and what dead labs left behind."""
    raise typer.Exit(commands.down(engine))


@app.command()
def scenarios(json: Json = False) -> None:
    """List the scenarios, with what each is about."""
    raise typer.Exit(commands.scenarios(as_json=json))


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(help="Scenario files.")],
    json: Json = False,
) -> None:
    """Say everything that is wrong with scenario files."""
    raise typer.Exit(commands.validate(files, as_json=json))


@app.command()
def doctor(engine: EngineName = DEFAULT, json: Json = False) -> None:
    """Show what this machine has, what is missing and the remedy."""
    raise typer.Exit(commands.doctor(engine, as_json=json))


@app.command()
def image(engine: EngineName = DEFAULT) -> None:
    """Build the nodes' image, if its sources have changed."""
    raise typer.Exit(commands.image(engine))


# What follows the node is the node's: `-all` is no option of ours.
@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def attach(
    node: Annotated[str, typer.Argument(help="A node that is up.")],
    words: Annotated[list[str] | None, typer.Argument(help="One command, instead of a prompt.")] = None,
) -> None:
    """Open a node's command line, or give it one command."""
    raise typer.Exit(commands.attach(node, words or []))


@app.command()
def logs(
    nodes: Annotated[list[str] | None, typer.Argument(help="Nodes; all of them by default.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they say more.")] = False,
) -> None:
    """Print what the nodes that are up have said."""
    raise typer.Exit(commands.logs(nodes or [], follow=follow))


@app.command()
def status(json: Json = False) -> None:
    """Show the nodes that are up."""
    raise typer.Exit(commands.status(as_json=json))


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit with its status. Shows every failure that a person can mend in a few lines."""
    logging.basicConfig(level=logging.WARNING, format="torrentnet: %(message)s")
    interrupts = Interrupts(lambda line: print(line, file=sys.stderr))
    try:
        with interrupts.installed():
            app(argv, prog_name="torrentnet")
    except Interrupted:
        print("interrupted", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except LabError as error:
        # A scenario's problems begin with the file's name, line and column, which editors make links of.
        prefix = "" if isinstance(error, ScenarioError) else "torrentnet: "
        print(f"{prefix}{printable(error.message)}", file=sys.stderr)
        if error.hint:
            print(f"    {printable(error.hint)}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception:  # the exit codes promise that 1 is a verdict
        traceback.print_exc()
        print("torrentnet: this is a mistake in torrentnet itself; the lines above say where", file=sys.stderr)
        sys.exit(EXIT_ENGINE)
