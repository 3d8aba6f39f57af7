"""Scenario files: reading them, and resolving them to a plan.

Every problem of a file is reported at once and in its place.

::

    language/     text -> model: YAML with lines and columns, parameters, the language's models, messages
    resolve/      model -> plan: nodes, links, events, expectations, and whatever refers to something missing
    plan/         the only seam to the rest of the lab
    qualities.py  what can be asked of a link
    load.py       finding, loading and listing scenario files
"""
