"""A program's command line: in its own terminal, and from outside over a Unix socket."""
