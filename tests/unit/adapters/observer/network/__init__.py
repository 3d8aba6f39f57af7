"""Tests of what the observer sees of a program's network."""
