"""Checks of the expectations, and the judge that decides whether they hold."""
