"""Scenario files: from YAML to a plan, with every error of a file told at once and in its place.

::

    parse.py document.py
                  YAML -> a tree with lines and columns
    units.py selectors.py types.py
                  texts -> durations, sizes, rates, who is meant
    model.py nodes.py timeline.py expectations.py
                  the language itself, as models; the editors' JSON Schema is made from them (schema.py)
    read.py problems.py shape.py vocabulary.py
                  tree -> models, and sentences for everything that is wrong
    resolve.py resolve_timeline.py resolve_expect.py resolve_unread.py
                  models -> :class:`torrentnet.lab.plan.Plan`
    load.py       the way in
"""

from torrentnet.lab.scenario.load import list_scenarios, load_plan

__all__ = ["list_scenarios", "load_plan"]
