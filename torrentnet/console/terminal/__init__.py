"""The command line in a program's own terminal."""
