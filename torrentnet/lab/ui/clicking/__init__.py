"""Verbs by hand, and the scenario that repeats them."""
