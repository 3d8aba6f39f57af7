"""The UDP tracker: who has what, what was asked, and how it ended."""
