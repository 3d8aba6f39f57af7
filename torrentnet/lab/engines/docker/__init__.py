"""Nodes as containers: one Compose service a node, on a bridge network of the lab's own."""
