"""Bytes to meaning and back. Nothing in this package uses a socket, a clock or a file."""
