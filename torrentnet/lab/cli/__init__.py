"""The command line ``torrentnet``."""
