"""The TCP peer: it shares a file, or gets one and then shares it."""
