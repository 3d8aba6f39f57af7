"""The schema of a run's record, and the page that describes it."""
