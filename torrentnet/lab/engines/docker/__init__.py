"""Nodes as containers: one Compose service for each node.

Each lab has a bridge network of its own.
"""
