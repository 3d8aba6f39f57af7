"""Tests of the verbs by hand."""
