"""The process that owns the nodes of a local lab."""
