"""From the text of a scenario file to models, with every problem at its place."""
