"""Pieces on disk: files, hashing, buffers, and worker threads."""
