"""The limits of each node: the node's own, else the scenario's, else the default."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torrentnet.lab.scenario.language.models.scenario import GetModel, LimitsModel, TrackerModel
from torrentnet.lab.scenario.plan.limits import COPIES, DISK, TRACKER_DISK, NodeLimits

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from torrentnet.lab.scenario.language.document import KeyPath
    from torrentnet.lab.scenario.language.models.scenario import NodeModel
    from torrentnet.lab.scenario.plan.plan import FilePlan
    from torrentnet.lab.scenario.plan.program import ProgramPlan
    from torrentnet.lab.scenario.resolve.context import ResolveContext


def resolve_limits(
    context: ResolveContext, loc: KeyPath, model: NodeModel, stored: int, program: ProgramPlan | None = None
) -> NodeLimits:
    """Return the limits of a node at ``loc`` that is to store ``stored`` bytes.

    The files of its program come on top.
    """
    own = program.size if program is not None else 0
    found = {**_written(context.draft.scenario.limits), **_written(model.limits)}
    if isinstance(model, GetModel) and model.disk is not None:
        if model.limits is not None and model.limits.disk is not None:
            context.note_key((*loc, "disk"), "`disk` and `limits: {disk}` are the same limit", "keep one of them")
        found["disk"] = model.disk
    least = TRACKER_DISK if isinstance(model, TrackerModel) else DISK
    return replace(
        NodeLimits(disk=least + COPIES * (stored + own), stored=stored + own), **found, explicit=tuple(sorted(found))
    )


def file_size(files: Iterable[FilePlan], name: str) -> int:
    """Return the largest size of the files that are shared under a name."""
    return max((_size(file.content) for file in files if file.name.rpartition("/")[2] == name), default=0)


def _size(content: int | Path) -> int:
    if isinstance(content, int):
        return content
    try:
        return content.stat().st_size
    except OSError:
        return 0  # reported with the files


def _written(model: LimitsModel | None) -> dict[str, Any]:
    return {} if model is None else {key: getattr(model, key) for key in model.model_fields_set}
