"""Scenario files: from YAML to a plan, with every error of a file told at once and in its place.

::

    parse.py document.py
                  YAML -> a tree with lines and columns
    parameters.py
                  `$name` -> the value that is in force
    units.py selectors.py bounds.py triggers.py types.py
                  texts -> durations, sizes, who is meant, how many, what is waited for
    model.py nodes.py links.py timeline.py expectations.py
                  the language itself, as models; the editors' JSON Schema is made from them (schema.py)
    read.py problems.py shape.py keyed.py
                  tree -> models, and sentences for everything that is wrong
    context.py resolve.py
                  models -> :class:`torrentnet.lab.scenario.plan.Plan`: files and nodes, then
    resolve_links.py
                  directions and qualities
    resolve_timeline.py resolve_state.py resolve_after.py said.py
                  events: when, whom they meet, and what refers to them
    resolve_expect.py resolve_check.py resolve_unread.py
                  expectations, and what can be said of items that could not be read
    load.py       the way in
"""

from torrentnet.lab.scenario.load import list_scenarios, load_plan

__all__ = ["list_scenarios", "load_plan"]
