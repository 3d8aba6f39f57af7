"""The containers' output and state changes, as they happen."""
