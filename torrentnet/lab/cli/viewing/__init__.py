"""Commands that show a run: report, live page, capture, picture of the network."""
