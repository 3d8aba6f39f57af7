"""Adapters that run other people's BitTorrent programs as nodes of a lab.

An adapter starts one program, accepts the command line of `peer.py`, prints the same event lines and serves the same
console; the program itself implements the protocols. Peers are found only through the lab's tracker: peer exchange,
local discovery and the DHT are disabled (aria2's DHT stays on, but knows no node). So are uTP and, where possible,
encryption.

In an image with the programs (`docker build --target clients`; the lab builds it as `torrentnet-clients`)::

    client aria2        share FILENAME TRACKER_ADDRESS LISTEN_ADDRESS --torrent FILE.torrent [--dir DIR] [--name NAME]
    client transmission get   FILENAME TRACKER_ADDRESS LISTEN_ADDRESS --torrent FILE.torrent [--upload-rate 8mbit]
    client libtorrent   get   ...
    client opentracker  LISTEN_ADDRESS --torrent FILE.torrent [--torrent ...]

`peer.py share --torrent` writes FILE.torrent; only its info dictionary is used. A client emits `published` when the
tracker has answered a seed's announce, `progress` while it downloads, and `completed` when it reports a complete file
and each piece on disk has the right SHA-1. On SIGTERM it sends the tracker a stopped event and exits. opentracker
listens on UDP and serves only the info-hashes of the given .torrent files.
"""
