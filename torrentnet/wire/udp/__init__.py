"""The tracker's datagrams: BEP 15, BEP 41 and the project's own requests."""
