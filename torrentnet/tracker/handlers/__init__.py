"""One handler for each kind of request, and the response cache."""
