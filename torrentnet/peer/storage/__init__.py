"""Pieces on disk: files, hashing, buffers, and the worker threads."""
