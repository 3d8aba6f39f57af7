"""The choice of the next piece, of the source, and of the peer to serve."""
