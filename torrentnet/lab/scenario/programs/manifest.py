"""``torrentnet.yaml``, which says how the program beside it is started.

Tested by tests/unit/lab/scenario/programs/test_manifest.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from torrentnet.lab.errors import Problem, ScenarioError
from torrentnet.lab.scenario.language.document import Document, MappingEntry, MappingNode, empty_values, to_plain_data
from torrentnet.lab.scenario.language.excerpt import excerpt, split_lines
from torrentnet.lab.scenario.language.messages import missing_value, strip_tags, translate_error
from torrentnet.lab.scenario.language.models.programs import ManifestModel
from torrentnet.lab.scenario.language.yaml_parser import parse_document, read_text

if TYPE_CHECKING:
    from pathlib import Path

    from torrentnet.lab.scenario.language.document import KeyPath

MANIFESTS: Final = ("torrentnet.yaml", "torrentnet.yml")
_PLACE: Final = ("programs", "program")
"""Where the same keys are in a scenario."""
_HINTS: Final = {
    "begin with `nodes:`": "begin with `tracker: python3 tracker.py {ip}:{port}`",
    "docs/scenarios.md shows a whole scenario": "docs/scenarios.md shows one, under `programs`",
    "a scenario is a page of text; is this the right file?": "it is a few lines of text; is this the right file?",
}
"""Hints about scenarios, and what to say of this file."""


def read_manifest(path: Path, file: str) -> ManifestModel:
    """Return what the file says; ``file`` is its name in messages.

    Raises ScenarioError with every problem of the file.
    """
    lines: list[str] = []
    try:
        text = read_text(path, file)
        lines = split_lines(text)
        root, problems = parse_document(text, file)
        model = _validate(root, problems)
    except ScenarioError as error:
        model, problems = None, list(error.problems)
    if model is None or problems:
        raise ScenarioError([_of_this_file(problem, lines) for problem in dict.fromkeys(problems)])
    return model


def _validate(document: Document, problems: list[Problem]) -> ManifestModel | None:
    mark = document.root.mark
    inner = MappingNode(mark, (MappingEntry(_PLACE[1], mark, document.root),), document.root.weight)
    outer = MappingNode(mark, (MappingEntry(_PLACE[0], mark, inner),), document.root.weight)
    # As if it were in a scenario, so that its mistakes have the same messages.
    place = replace(document, root=outer)
    if document.root.get("path") is not None:
        text = "`path` is a key of a scenario"
        problems.append(document.problem(("path",), text, "remove it: this file lies in the program's folder"))
    empty = [(*_PLACE, *loc) for loc in empty_values(document.root)]
    problems += [missing_value(loc, place) for loc in empty]
    data = to_plain_data(document.root)
    try:
        return ManifestModel.model_validate(data)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            loc: KeyPath = (*_PLACE, *strip_tags(detail["loc"]))
            if loc in empty or loc == (*_PLACE, "path"):
                continue
            detail["loc"] = loc
            problems += translate_error(detail, place)
    return None


def _of_this_file(problem: Problem, lines: list[str]) -> Problem:
    path = problem.path.removeprefix(".".join(_PLACE)).removeprefix(".")
    hint = _HINTS.get(problem.hint, problem.hint)
    return replace(problem, path=path, hint=hint, excerpt=excerpt(lines, problem.line, problem.column))
