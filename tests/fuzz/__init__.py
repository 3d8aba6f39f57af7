"""Fuzzers: each `fuzz_WHAT.py` has a function `run(seconds, seed, corpus)`."""
