"""The audit log in SQLite: its writer, its schema and its queries."""
