"""Connections between peers, and the pieces that go over them."""
