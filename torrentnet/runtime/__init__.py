"""What every program shares: events, units, names, errors, options, and the way it starts."""
