"""Download strategies: from one peer, or from a whole swarm."""
