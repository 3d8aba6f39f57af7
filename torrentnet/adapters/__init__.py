"""Other people's BitTorrent clients, and their tracker, as nodes of a lab.

Each is started by a small driver that takes the command line of `peer.py`, prints the same event lines and answers at
a console; what travels between the nodes is the real client's own. Everything that would find peers by another way
than the lab's tracker is switched off: no DHT beyond what aria2 needs to speak UDP at all, no peer exchange, no local
discovery, no uTP, and no encryption where that can be switched off.

By hand, in the image with the clients (the lab builds it as `torrentnet-clients`; `docker build --target clients` does
too). FILE.torrent is what `peer.py share --torrent` writes; only its info dictionary is used::

    client aria2        share FILENAME TRACKER_ADDRESS LISTEN_ADDRESS --torrent FILE.torrent [--dir DIR] [--name NAME]
    client transmission get   FILENAME TRACKER_ADDRESS LISTEN_ADDRESS --torrent FILE.torrent [--upload-rate 8mbit]
    client libtorrent   get   ...
    client opentracker  LISTEN_ADDRESS --torrent FILE.torrent [--torrent ...]

A client says `published` when the tracker has taken a seed in, `progress` on the way, and `completed` when it calls
the file whole and every piece of the file on disk has the right SHA-1; the file's SHA-256 is told with it. SIGTERM ends
it with a good-bye to the tracker. opentracker listens on UDP and serves the files of these .torrents and no others.
"""
