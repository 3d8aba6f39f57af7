"""The plan: a scenario with every name, time and random choice resolved.

It is the only seam to the rest of the lab. Engines, timeline and checks use a
:class:`~torrentnet.lab.scenario.plan.plan.Plan` and never see YAML. Times are seconds after t = 0, the moment at which
the tracker and the first seeds are up. A repeated event is as many events. Only two things stay open until the run:
when an event with a trigger happens, and the start of an expectation that counts from such an event.
"""
