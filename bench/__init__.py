"""Measurements, side by side with other programs: ``make bench``. Nothing in here is a test; nothing asserts a time."""
