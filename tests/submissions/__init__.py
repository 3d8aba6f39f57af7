"""Submissions as students hand them in: right ones, mutants, attacks."""
