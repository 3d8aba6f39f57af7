"""A seed or a leecher that runs libtorrent.

Usage: ``libtorrent_peer.py TORRENT DIRECTORY ADDRESS:PORT [SEED_ADDRESS:PORT]``.

With SEED_ADDRESS:PORT, the program is a leecher and prints a line of JSON with its times. All ways to find other peers
are off: the seed's address is an argument, as it is for the other programs.
"""

from __future__ import annotations

import json
import signal
import sys
import time

import libtorrent as lt

SETTINGS = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_outgoing_utp": False,
    "enable_incoming_utp": False,
    "out_enc_policy": 2,  # plain text, as we send it
    "in_enc_policy": 2,
    "alert_mask": lt.alert.category_t.status_notification | lt.alert.category_t.storage_notification,
}


def main() -> None:
    """Seed until killed; or fetch, tell, and wait to be killed."""
    torrent, directory, listen = sys.argv[1:4]
    session = lt.session({**SETTINGS, "listen_interfaces": listen})
    wanted = lt.add_torrent_params()
    wanted.ti = lt.torrent_info(torrent)
    wanted.save_path = directory
    wanted.trackers = []
    wanted.flags &= ~lt.torrent_flags.auto_managed & ~lt.torrent_flags.paused
    if len(sys.argv) == 4:
        wanted.flags |= lt.torrent_flags.seed_mode
        session.add_torrent(wanted)
        print("ready", flush=True)
        signal.pause()
    address, _, port = sys.argv[4].rpartition(":")
    wanted.peers = [(address, int(port))]
    begin = time.time()
    handle = session.add_torrent(wanted)
    while True:
        session.wait_for_alert(1000)
        if any(isinstance(alert, lt.torrent_finished_alert) for alert in session.pop_alerts()):
            break
    end = time.time()
    print(json.dumps({"begin": begin, "end": end, "bytes": handle.status().total_done}), flush=True)
    signal.pause()


main()
