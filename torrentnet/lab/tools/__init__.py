"""Tools: run a scenario many times (sweep), or explain it before it runs."""
