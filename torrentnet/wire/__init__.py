"""Bytes to meaning and back. No socket, no clock, no file in here: every part is a function or is fed bytes."""
