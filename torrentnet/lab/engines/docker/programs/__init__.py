"""The images of programs that a scenario brings along."""
