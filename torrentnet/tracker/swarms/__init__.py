"""State in memory: the swarms with their peers, and the open requests."""
