"""A lab for a simple torrent network: a UDP tracker, TCP peers, and scenarios that hurt them on purpose."""

__version__ = "0.2.0"
