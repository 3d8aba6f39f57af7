"""Reading of rubric files.

The expectations of the criteria are appended to their experiment, and the language of scenarios checks the whole. What
it finds is told at its place in the rubric.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml
from pydantic import ValidationError

from torrentnet.lab.errors import ScenarioError, UsageError
from torrentnet.lab.paths import rubrics_folder
from torrentnet.lab.scenario.language.document import Document, KeyPath, to_plain_data
from torrentnet.lab.scenario.language.excerpt import with_excerpts
from torrentnet.lab.scenario.language.yaml_parser import parse_document, read_text
from torrentnet.lab.scenario.load import resolve_text
from torrentnet.lab.scenario.programs.given import GivenPrograms
from torrentnet.lab.tools.grade.models import MAX_CRITERIA, MAX_EXPERIMENTS, WRONG_VALUE, RubricModel
from torrentnet.lab.tools.grade.rubric import Criterion, Demand, Experiment, Rubric
from torrentnet.runtime.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic_core import ErrorDetails

    from torrentnet.lab.errors import Problem
    from torrentnet.lab.tools.grade.models import CriterionModel

SUFFIXES: Final = (".yaml", ".yml")
_STEP: Final = re.compile(r"\[(\d+)\]|\.?([^.\[]+)")
_RESERVED: Final = ("name", "expect")
EXAMPLE: Final = "reference"
"""A submission among the lab's own files."""
_EMPTY_EXPECT: Final = "none"


def find_rubric(rubric: str, folder: Path) -> Path:
    """Return the file of a rubric, by its name in ``folder`` or by its path.

    Raises UsageError.
    """
    path = Path(rubric)
    if path.suffix in SUFFIXES or path.parent != Path():
        if not path.is_file():
            raise UsageError(f"there is no file {rubric}", hint=_what_there_is(folder))
        return path
    found = next(
        (folder / f"{rubric}{suffix}" for suffix in SUFFIXES if (folder / f"{rubric}{suffix}").is_file()), None
    )
    if found is None:
        raise UsageError(f"there is no rubric `{rubric}`", hint=_what_there_is(folder))
    return found


def _what_there_is(folder: Path) -> str:
    names = sorted(path.stem for path in folder.glob("*.yaml")) if folder.is_dir() else []
    known = f"the lab's own are {', '.join(names)}; " if names else ""
    return f"{known}write the path of a file as ./my_rubric.yaml"


def load_rubric(path: Path) -> Rubric:
    """Read a rubric.

    Raises ScenarioError with every problem of the file.
    """
    file = str(path)
    text = read_text(path, file)
    try:
        return _RubricReader(text, file, path).rubric()
    except ScenarioError as error:
        raise ScenarioError(with_excerpts(error.problems, text, file)) from None


class _RubricReader:
    def __init__(self, text: str, file: str, path: Path) -> None:
        self._path = path
        self._digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
        self._document, self._problems = parse_document(text, file)

    def rubric(self) -> Rubric:
        data = to_plain_data(self._document.root)
        try:
            model = RubricModel.model_validate(data)
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_input=False):
                self._problems += _translate(detail, self._document)
            raise ScenarioError(list(dict.fromkeys(self._problems))) from None
        self._check(model)
        places = self._place_expectations(model)
        experiments = [self._experiment(name, model, places[name]) for name in model.experiments]
        if self._problems:
            raise ScenarioError(list(dict.fromkeys(self._problems)))
        index = {(loc[1], *loc[2:]): number for of_one in places.values() for number, loc in enumerate(of_one)}
        return Rubric(
            model.name,
            model.about,
            self._path,
            self._digest,
            tuple(one for one in experiments if one is not None),
            tuple(_criterion(key, one, index) for key, one in model.criteria.items()),
            self._reference(model),
        )

    def _reference(self, model: RubricModel) -> Path | None:
        return self._path.parent / model.reference if model.reference else None

    def _check(self, model: RubricModel) -> None:
        note = self._problem
        if not model.criteria:
            note(("criteria",), "the rubric has no criterion", "write one: see docs/grading.md")
        for section, most in (("criteria", MAX_CRITERIA), ("experiments", MAX_EXPERIMENTS)):
            if len(getattr(model, section)) > most:
                note((section,), f"more than {most} {section}", "split the rubric")
        earlier: list[str] = []
        for key, criterion in model.criteria.items():
            loc: KeyPath = ("criteria", key)
            if criterion.experiment not in model.experiments:
                hint = did_you_mean(criterion.experiment, list(model.experiments), "the rubric has")
                note((*loc, "experiment"), f"there is no experiment `{criterion.experiment}`", hint)
            for needed in criterion.needs or ():
                if needed not in earlier:
                    hint = "a criterion can need only those above it" if needed in model.criteria else "remove it"
                    note((*loc, "needs"), f"there is no criterion `{needed}` above this one", hint)
            if criterion.partial and criterion.partial.points >= criterion.points:
                hint = f"write less than {criterion.points:g}"
                note((*loc, "partial", "points"), "`partial` gives as many points as the whole", hint)
            if criterion.credit == "share" and (criterion.enough or criterion.any_of or criterion.partial):
                note((*loc, "credit"), "`share` has no `enough`, `any_of` or `partial`", "remove one of the two")
            earlier.append(key)
        used = {criterion.experiment for criterion in model.criteria.values()}
        for name, experiment in model.experiments.items():
            for reserved in _RESERVED:
                if reserved in experiment:
                    hint = "what is expected stands at the criteria; the name is the key"
                    note(("experiments", name, reserved), f"an experiment has no `{reserved}`", hint)
            if name not in used:
                note(("experiments", name), f"no criterion uses `{name}`", "remove it, or write a criterion")
        reference = self._reference(model)
        if reference is not None and not reference.exists():
            note(("reference",), f"there is no {reference}", "write a path relative to the rubric's own folder")

    def _problem(self, loc: KeyPath, text: str, hint: str) -> None:
        self._problems.append(self._document.problem(loc, text, hint, at_value=True))

    def _place_expectations(self, model: RubricModel) -> dict[str, list[KeyPath]]:
        """Return where in the rubric the expectations of each experiment stand.

        They are in the experiment's order.
        """
        places: dict[str, list[KeyPath]] = {name: [] for name in model.experiments}
        for key, criterion in model.criteria.items():
            of_one = places.get(criterion.experiment, [])
            loc: KeyPath = ("criteria", key)
            for place, demand in ((loc, criterion), ((*loc, "partial"), criterion.partial)):
                for section in ("expect", "any_of"):
                    items = getattr(demand, section, None) or ()
                    of_one += [(*place, section, number) for number in range(len(items))]
        return places

    def _experiment(self, name: str, model: RubricModel, places: Sequence[KeyPath]) -> Experiment | None:
        body = {key: value for key, value in model.experiments[name].items() if key not in _RESERVED}
        about = str(body.pop("about", name))
        expect = [_with_warning(_at(model, loc)) for loc in places]
        document = {"name": name, "about": about, **body, "expect": expect or _EMPTY_EXPECT}
        try:
            plan = resolve_text(
                scenario_text(document), name, self._path.with_name(f"{name}.yaml"), {}, self._programs()
            )
        except ScenarioError as error:
            self._problems += [self._translated(problem, name, places) for problem in error.problems]
            return None
        return Experiment(name, about, document, plan)

    def _programs(self) -> GivenPrograms:
        """Return any submission: experiments must make sense of foreign programs."""
        example = str(rubrics_folder() / EXAMPLE)
        return GivenPrograms(tracker=example, peers=example, for_any=True)

    def _translated(self, problem: Problem, name: str, places: Sequence[KeyPath]) -> Problem:
        """Return a problem of an experiment at its place in the rubric."""
        steps = tuple(int(number) if number else word for number, word in _STEP.findall(problem.path))
        loc: KeyPath = ("experiments", name, *steps)
        if len(steps) > 1 and steps[0] == "expect" and isinstance(steps[1], int) and steps[1] < len(places):
            loc = (*self._written(places[steps[1]]), *steps[2:])
        return self._document.problem(loc, problem.text, problem.hint, at_value=True)

    def _written(self, loc: KeyPath) -> KeyPath:
        """Return the place of an expectation; a single one may stand without a list."""
        _, node = self._document.find(loc)
        return loc if node is not None else loc[:-1]


def scenario_text(document: Mapping[str, Any]) -> str:
    """Return an experiment as the text of a scenario file."""
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=110)


def _with_warning(expectation: Mapping[str, Any]) -> dict[str, Any]:
    # What does not hold costs points; the attempt itself is none the worse.
    return {"level": "warning", **expectation}


def _at(model: RubricModel, loc: KeyPath) -> dict[str, Any]:
    found: Any = model.criteria[str(loc[1])]
    for step in loc[2:]:
        found = found[step] if isinstance(step, int) else getattr(found, str(step))
    return dict(found)


def _criterion(key: str, model: CriterionModel, index: Mapping[tuple[Any, ...], int]) -> Criterion:
    def places(*section: str) -> tuple[int, ...]:
        return tuple(number for loc, number in index.items() if loc[:-1] == (key, *section))

    full = Demand(model.points, places("expect"), places("any_of"), model.enough)
    partial = None
    if model.partial:
        partial = Demand(model.partial.points, places("partial", "expect"), places("partial", "any_of"))
    return Criterion(
        key,
        model.title,
        model.experiment,
        full,
        partial,
        model.credit,
        tuple(model.needs or ()),
        model.did or "",
        model.expected or "",
        model.hint or "",
    )


def _translate(error: ErrorDetails, document: Document) -> Iterator[Problem]:
    loc = tuple(step for step in error["loc"] if step != "[key]")
    kind = error["type"]
    if kind == WRONG_VALUE:
        context: dict[str, Any] = error.get("ctx", {})
        yield document.problem(loc, context["text"], context["hint"], at_value=True)
    elif kind == "missing":
        yield document.problem(loc[:-1], f"`{loc[-1]}` is missing", "docs/grading.md has what a rubric needs")
    elif kind == "extra_forbidden":
        known = _known_keys(loc)
        yield document.problem(loc, f"unknown key `{loc[-1]}`", did_you_mean(str(loc[-1]), known, "known are"))
    elif kind in {"list_type", "dict_type", "model_type", "model_attributes_type", "string_type"}:
        shape = "a list" if kind == "list_type" else "a text" if kind == "string_type" else "a mapping"
        yield document.problem(loc, f"expected {shape}", "docs/grading.md has examples", at_value=True)
    else:
        yield document.problem(loc, error["msg"], at_value=True)


def _known_keys(loc: KeyPath) -> list[str]:
    from torrentnet.lab.tools.grade.models import CriterionModel, PartialModel

    if loc[0] != "criteria" or len(loc) < 3:
        return list(RubricModel.model_fields)
    return list((PartialModel if "partial" in loc[2:-1] else CriterionModel).model_fields)
