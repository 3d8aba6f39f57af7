"""Tests of the observer: pure parts alone, the rest with real processes."""
