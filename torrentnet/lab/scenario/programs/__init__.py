"""Programs that are no part of torrentnet: their files and their command lines."""
