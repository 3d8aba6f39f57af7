"""The command line over a Unix socket."""
