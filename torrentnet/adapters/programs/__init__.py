"""One adapter for each program that is not ours."""
