"""Which piece, which source, and whose turn it is to be served."""
