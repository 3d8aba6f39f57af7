"""The log of everything that happened, in SQLite, and its queries."""
