"""What every program shares: events, units, addresses, options, signals, and the seam to the machine."""
