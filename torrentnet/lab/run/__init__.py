"""A lab's run: bootstrap, timeline, faults, state and record."""
