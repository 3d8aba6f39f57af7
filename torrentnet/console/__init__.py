"""A program's command line: in its own terminal, and over a Unix socket."""
