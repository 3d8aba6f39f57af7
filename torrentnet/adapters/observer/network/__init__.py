"""Observation of a program's sockets, connections and datagrams."""
