"""The expectations: of whom, by when, and whether they can be met at all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from torrentnet.lab.plan import Check, EventPlan, ExpectationPlan, Role
from torrentnet.lab.scenario.expectations import Becomes, Console, Forgets, Has, State
from torrentnet.lab.scenario.problems import did_you_mean
from torrentnet.lab.scenario.resolve_timeline import event_texts, normal
from torrentnet.lab.scenario.units import show_duration

if TYPE_CHECKING:
    from torrentnet.lab.scenario.document import Loc
    from torrentnet.lab.scenario.expectations import AnyExpectation
    from torrentnet.lab.scenario.resolve import Context

_FEW = 4
"""Nodes that are listed by name; more are counted."""
_EVERY = "every "


def resolve_expectations(context: Context, events: tuple[EventPlan, ...]) -> tuple[ExpectationPlan, ...]:
    """The expectations in the order of the file."""
    plans: list[ExpectationPlan] = []
    for position, model in zip(context.draft.expect, context.draft.scenario.expect, strict=True):
        loc: Loc = ("expect", position)
        nodes = context.select(model.node, (*loc, "node"))
        after = _after(context, loc, model.after, events)
        plan = ExpectationPlan(
            index=len(plans),
            check=Check.HAS,
            nodes=nodes,
            text="",
            where=context.draft.document.where(loc),
            within=_within(context, loc, model, after),
            at=model.at,
            after=None if after is None else after.index,
        )
        plan, said = _what(context, loc, plan, model)
        plans.append(replace(plan, text=f"{_people(context, nodes)} {said} {_when(plan, model)}"))
    return tuple(plans)


def _after(context: Context, loc: Loc, text: str | None, events: tuple[EventPlan, ...]) -> EventPlan | None:
    if text is None:
        return None
    wanted = normal(text)
    found = [event for event in events if wanted in {normal(name) for name in event_texts(event)}]
    if len(found) == 1:
        return found[0]
    place = (*loc, "after")
    if found:
        names = " or ".join(f"`after: {event_texts(event)[2]}`" for event in found[:3])
        context.note(place, f"`{text}` happens {len(found)} times", f"write {names}")
    elif not any(aside[0] == "timeline" for aside in context.draft.aside):
        texts = [event_texts(event)[0] for event in events]
        hint = did_you_mean(text, texts, "there are") if texts else "there is no timeline"
        context.note(place, f"no event of the timeline is `{text}`", hint)
    return None


def _within(context: Context, loc: Loc, model: AnyExpectation, after: EventPlan | None) -> float | None:
    begin = 0.0 if after is None else after.at
    if model.at is not None:
        context.past_limit((*loc, "at"), model.at, show_duration(model.at))
        return None
    if model.within is not None:
        past = begin + model.within
        context.past_limit(
            (*loc, "within"),
            past,
            f"{show_duration(model.within)}" + (f" after {show_duration(begin)}" if after is not None else ""),
        )
        return model.within
    return max(0.0, round(context.draft.scenario.time_limit - begin, 3))


def _when(plan: ExpectationPlan, model: AnyExpectation) -> str:
    if plan.at is not None:
        return f"at {show_duration(plan.at)}"
    since = "" if model.after is None else f"after {normal(model.after)}"
    if model.within is None:
        return f"{since}, before the end" if since else "before the end"
    return f"within {show_duration(model.within)} {since}".rstrip()


def _what(context: Context, loc: Loc, plan: ExpectationPlan, model: AnyExpectation) -> tuple[ExpectationPlan, str]:
    """The plan with what is asked, and the same in words."""
    many = len(plan.nodes) > 1 and not _people(context, plan.nodes).startswith(_EVERY)
    if isinstance(model, Has):
        _peers_only(context, loc, plan.nodes, "has a file")
        for name in plan.nodes:
            file = context.nodes[name].file
            if file is not None and file != model.has:
                verb = "shares" if context.nodes[name].role is Role.SHARE else "gets"
                context.note(
                    (*loc, "has"),
                    f"`{name}` {verb} `{file}`, not `{model.has}`",
                    did_you_mean(model.has, [file], "it can be"),
                )
                break
        return replace(plan, check=Check.HAS, file=model.has), f"{'have' if many else 'has'} {model.has}"
    if isinstance(model, Becomes):
        _peers_only(context, loc, plan.nodes, "becomes a seed")
        said = "become seeds" if many else "becomes a seed"
        return replace(plan, check=Check.BECOMES, state=model.becomes), said
    if isinstance(model, Forgets):
        for name in plan.nodes:
            if context.nodes[name].role is not Role.TRACKER:
                context.note(
                    (*loc, "node"), f"`{name}` is a peer; it is the tracker that forgets", "write `node: tracker`"
                )
                break
        forgotten = context.select(model.forgets, (*loc, "forgets"))
        if any(context.nodes[name].role is Role.TRACKER for name in forgotten):
            context.note((*loc, "forgets"), "the tracker does not know itself", "name peers")
        return replace(plan, check=Check.FORGETS, forgotten=forgotten), f"forgets {_people(context, forgotten)}"
    if isinstance(model, Console):
        contains, lacks = model.contains or (), model.lacks or ()
        for index, text in enumerate(lacks):
            if text in contains:
                item = (index,) if len(lacks) > 1 else ()
                context.note((*loc, "lacks", *item), f"`{text}` stands under `contains` too", "it cannot be both")
        parts = [f"{word} {', '.join(texts)}" for word, texts in (("contains", contains), ("lacks", lacks)) if texts]
        said = f"answer{'' if many else 's'} `{model.console}` with a text that {' and '.join(parts)}"
        return replace(plan, check=Check.CONSOLE, command=model.console, contains=contains, lacks=lacks), said
    assert isinstance(model, State)
    return replace(plan, check=Check.STATE, state=model.state), f"{'are' if many else 'is'} {model.state}"


def _peers_only(context: Context, loc: Loc, nodes: tuple[str, ...], what: str) -> None:
    for name in nodes:
        if context.nodes[name].role is Role.TRACKER:
            context.note((*loc, "node"), f"the tracker is no peer: it never {what}", "name peers or their groups")
            return


def _people(context: Context, names: tuple[str, ...]) -> str:
    if len(names) <= _FEW:
        return ", ".join(names)
    for group, members in context.directory.groups.items():
        if tuple(members) == names:
            return f"{_EVERY}{group} ({len(names)})"
    return f"{names[0]} to {names[-1]} ({len(names)} nodes)"
