"""The journal: requests and events of files, stored in SQLite, and its queries."""
