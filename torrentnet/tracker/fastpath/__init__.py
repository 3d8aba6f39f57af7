"""The fast path: answers frequent datagrams without the handlers, or declines."""
