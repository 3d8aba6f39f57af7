"""From the models of a scenario file to a plan."""
