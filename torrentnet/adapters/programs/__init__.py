"""One adapter per program."""
