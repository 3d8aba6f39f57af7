"""``torrentnet.lab.open``: a lab for a test or a notebook."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from torrentnet.lab.api import Lab
from torrentnet.lab.engines import DEFAULT, make_engine
from torrentnet.lab.engines.types import Mode
from torrentnet.lab.home import lab_store
from torrentnet.lab.home.cleanup import take_down
from torrentnet.lab.home.paths import lab_home
from torrentnet.lab.scenario.catalog import find_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from torrentnet.lab.cli.progress import ProgressView
    from torrentnet.lab.engines.interface import Engine


@contextlib.contextmanager
def open_lab(
    scenario: str | Path,
    *,
    settings: Mapping[str, object] | None = None,
    engine: str | Engine = DEFAULT,
    keep: bool | Callable[[], bool] = False,
    home: Path | None = None,
    runs: Path | None = None,
    view: ProgressView | None = None,
) -> Iterator[Lab]:
    """Bring a scenario's tracker and first seeds up for a ``with`` block, and remove everything at its end.

    Nothing of the scenario's timeline happens by itself: ``lab.play()`` lets it happen and judges it, or the
    block does things by hand with the lab's verbs.

    Args:
        scenario: its name, or the path of its file.
        settings: values for the scenario's parameters.
        engine: what runs the nodes, by name; or an engine that is made already, which is closed at the end.
        keep: leave the lab up at the end, as ``torrentnet up`` does, or a function that is asked at the end whether to;
            a lab that is up already is taken down first.
        home: the directory whose lab it is; the checkout by default, or TORRENTNET_HOME.
        runs: where the run is recorded; ``runs`` in ``home`` by default.
        view: who is told what goes on; nobody by default.

    Raises:
        UsageError: there is no such scenario or engine.
        ScenarioError: the scenario cannot be used.
        EngineError: the engine is missing or has failed.
        NotUp: the tracker or a first seed did not come up.
    """
    plan = find_plan(scenario, {name: str(value) for name, value in (settings or {}).items()})
    made = make_engine(engine) if isinstance(engine, str) else engine
    try:
        # Before anything is written: without an engine there is nothing to record.
        made.check()
    except BaseException:
        made.close()
        raise
    if keep:
        _take_down_running_lab(home or lab_home(), made.name)
    lab = Lab(plan, made, mode=Mode.UP if keep else Mode.RUN, home=home, runs=runs, view=view)
    with lab:
        try:
            yield lab
        finally:
            if keep() if callable(keep) else keep:
                lab.keep()


def _take_down_running_lab(home: Path, engine_name: str) -> None:
    up = lab_store.read_running_lab(home)
    if up is None:
        return
    engine = make_engine(up.engine or engine_name)
    try:
        engine.check()
        take_down(engine, home, lambda _: None)
    finally:
        engine.close()
