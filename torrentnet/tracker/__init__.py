"""The UDP tracker: who holds which file, who requested one, and the outcomes."""
