"""``make bench``: run the sections, print what they measured, and write it down."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import json
import shutil
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from bench import ROOT, page
from bench.rig import containers, machine
from bench.rig.watched_process import NotSeenError
from bench.section import CannotMeasureError, Context, SectionResult
from torrentnet.lab.cli.output import print_table
from torrentnet.lab.engines.owner import Owner, is_dead
from torrentnet.lab.errors import LabError
from torrentnet.lab.run.interrupts import Interrupted, InterruptHandler
from torrentnet.lab.run.recorder import make_run_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from bench.section import Section

SECTIONS = ("bytes", "tracker", "swarm", "hostile")
"""In the order of the page."""
RUNS, QUICK_RUNS, LEAST_RUNS, MOST_RUNS = 3, 3, 1, 50
WORK_PREFIX = "work-"
"""Directories for sections' own files, below ``runs/bench``; the rest of the name is their owner."""


def main(words: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    The status is 0, 1 if a section could not be measured, or 130 after Ctrl-C.
    """
    options = parse_options(words)
    began = time.monotonic()
    said = Progress(began)
    interrupts = InterruptHandler(said)
    try:
        with interrupts.installed():
            try:
                return _run(options, said)
            finally:
                with interrupts.shield():
                    containers.remove_own()
                    remove_work(ROOT / "runs" / "bench", mine=True)
    except Interrupted as interrupted:
        said(f"stopped by {interrupted}; nothing is left behind")
        return 128 + interrupted.signal


class Progress:
    """The progress that a person reads on standard error.

    Each call writes one line with the seconds since the beginning.
    """

    def __init__(self, began: float) -> None:
        self._began = began

    def __call__(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:6.1f} s  {text}", file=sys.stderr, flush=True)


def parse_options(words: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command's arguments.

    Invalid arguments end the program, as in argparse.
    """
    parser = argparse.ArgumentParser(
        prog="make bench", description="Measure torrentnet side by side with other programs."
    )
    parser.add_argument("--quick", action="store_true", help="fewer sizes, in less than three minutes")
    parser.add_argument("--only", default="", metavar="PART", help=f"some parts only: {', '.join(SECTIONS)}")
    parser.add_argument("--runs", type=int, metavar="N", help=f"how often each thing is measured (default {RUNS})")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md even after a part of it")
    options = parser.parse_args(words)
    options.only = tuple(options.only.replace(",", " ").split())
    if wrong := [name for name in options.only if name not in SECTIONS]:
        parser.error(f"there is no part {wrong[0]!r}: the parts are {', '.join(SECTIONS)}")
    if options.runs is None:
        options.runs = QUICK_RUNS if options.quick else RUNS
    elif not LEAST_RUNS <= options.runs <= MOST_RUNS:
        parser.error(f"runs={options.runs}: {LEAST_RUNS} to {MOST_RUNS} make sense")
    return options


def command_of(options: argparse.Namespace) -> str:
    """Return the command that repeats this measurement."""
    parts = ["make bench"]
    if options.quick:
        parts.append("quick=1")
    if options.only:
        parts.append("only=" + ",".join(options.only))
    if options.runs != (QUICK_RUNS if options.quick else RUNS):
        parts.append(f"runs={options.runs}")
    if options.write:
        parts.append("write=1")
    return " ".join(parts)


def _import_sections(names: Iterable[str], said: Progress) -> dict[str, Section]:
    found = {}
    for name in names:
        module = f"bench.sections.{name}"
        if importlib.util.find_spec(module) is None:
            said(f"{name}: not written yet, left out")
            continue
        found[name] = cast("Section", importlib.import_module(module))
    return found


def _run(options: argparse.Namespace, said: Progress) -> int:
    home = ROOT
    runs = home / "runs"
    sections = _import_sections(options.only or SECTIONS, said)
    containers.remove_orphans(said)
    remove_work(runs / "bench", mine=False)
    here = _inspect_machine()
    said(here.line())
    record = make_run_directory(runs, "bench")
    measured: dict[str, SectionResult] = {}
    trouble = []
    for name, section in sections.items():
        said(f"{name}: {section.TITLE}")
        since = time.monotonic()
        work = runs / "bench" / work_name(Owner.myself())
        work.mkdir(exist_ok=True)
        context = Context(
            quick=options.quick,
            runs=options.runs,
            say=lambda text, name=name: said(f"{name}: {text}"),  # type: ignore[misc]  # a default that the type has no room for
            workdir=work,
            pictures=record / "pictures",
        )
        try:
            answer = section.run(context)
        except (CannotMeasureError, LabError, NotSeenError) as error:
            said(f"{name} could not be measured: {error}")
            trouble.append(name)
            continue
        finally:
            shutil.rmtree(work, ignore_errors=True)
        measured[name] = answer
        _write_record(record, name, answer, here, options)
        _print(section.TITLE, answer)
        said(f"{name}: took {time.monotonic() - since:.0f} s")
    if measured and (options.write or not (options.quick or options.only or trouble)):
        _write_page(home, sections, measured, here, command_of(options))
        said("docs/benchmarks.md is written")
    said(f"every figure is in {record.relative_to(home)}")
    return 1 if trouble else 0


def _inspect_machine() -> machine.Machine:
    name = "no container engine"
    with contextlib.suppress(CannotMeasureError):
        engine = containers.engine()
        try:
            name = engine.environment()["engine"]
        finally:
            engine.close()
    return machine.inspect_machine(name, ROOT)


def remove_work(folder: Path, *, mine: bool) -> None:
    """Remove the work directories of sections.

    With ``mine``, the directories of this process are removed, otherwise those of this user's dead owners. Directories
    whose names contain no valid owner are left.
    """
    myself = Owner.myself()
    for path in folder.glob(f"{WORK_PREFIX}*"):
        owner = Owner.parse(path.name.removeprefix(WORK_PREFIX).replace("+", ":"))
        if owner is not None and (owner == myself if mine else owner.mine and is_dead(owner)):
            shutil.rmtree(path, ignore_errors=True)


def work_name(owner: Owner) -> str:
    """Return the name of a run's work directory.

    The name contains the owner, so that other processes can check whether the owner is alive.
    """
    return WORK_PREFIX + str(owner).replace(":", "+")


def _write_record(
    record: Path, name: str, answer: SectionResult, here: machine.Machine, options: argparse.Namespace
) -> None:
    document = {
        "section": name,
        "command": command_of(options),
        "runs": options.runs,
        "quick": options.quick,
        "machine": here.fields(),
        "tables": [asdict(table) for table in answer.tables],
        "raw": answer.raw,
    }
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    (record / f"{name}.json").write_text(text, encoding="utf-8")


def _print(title: str, answer: SectionResult) -> None:
    print(f"\n{title}")
    for table in answer.tables:
        print(f"\n{table.title}")
        print_table(table.columns, table.rows)
        if table.note:
            print(table.note)
    print(flush=True)


def _write_page(
    home: Path, sections: dict[str, Section], measured: dict[str, SectionResult], here: machine.Machine, command: str
) -> None:
    path = home / "docs" / "benchmarks.md"
    before = page.parse_parts(path.read_text(encoding="utf-8")) if path.exists() else {}
    pictures = path.parent / page.PLOTS_FOLDER
    pictures.mkdir(exist_ok=True)
    parts = {}
    for name in SECTIONS:
        if name not in measured:
            if name in before:
                parts[name] = before[name]
            continue
        for old in pictures.glob(f"{name}-*"):
            old.unlink()
        answer = measured[name]
        plots = [_publish(plot, pictures, name) for plot in answer.plots]
        line = f"Measured with `{command}`: {here.line()}."
        parts[name] = page.render_part(page.Part(sections[name].TITLE, line, answer.tables, plots, answer.notes))
    path.write_text(page.render_page(parts), encoding="utf-8")


def _publish(plot: Path, pictures: Path, section: str) -> Path:
    """Copy a plot as SVG and PNG; return the path of the SVG.

    The name of the copies contains the plot's section.
    """
    stem = plot.stem if plot.stem.startswith(f"{section}-") else f"{section}-{plot.stem}"
    for suffix in (".svg", ".png"):
        if plot.with_suffix(suffix).exists():
            shutil.copyfile(plot.with_suffix(suffix), pictures / f"{stem}{suffix}")
    return pictures / f"{stem}.svg"


if __name__ == "__main__":
    sys.exit(main())
