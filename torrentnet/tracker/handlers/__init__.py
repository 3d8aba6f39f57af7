"""One handler for each kind of packet, and the cache of their answers."""
