"""Tools that run many labs or explain one: sweep, explain."""
