"""The peer's side of the tracker protocol."""
