"""Lab for a simple torrent network of a UDP tracker and TCP peers.

Scenarios hurt the tracker and the peers on purpose.
"""

__version__ = "0.2.0"
