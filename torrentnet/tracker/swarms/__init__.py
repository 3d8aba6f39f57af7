"""Who has what: swarms, the peer table, open requests and expiry."""
