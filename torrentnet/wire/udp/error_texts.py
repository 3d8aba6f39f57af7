"""Error texts of the tracker that peers act on.

The tracker begins its message with one of them, and the peer looks for it. docs/protocol.md, "Rules between peer and
tracker", says what a peer does about each.
"""

from __future__ import annotations

from typing import Final

CONNECTION_ID_REFUSED: Final = "connection id refused"
"""The id is too old, or of an earlier run of the tracker: connect again and repeat the request."""
UNKNOWN_PEER: Final = "unknown peer"
"""The tracker has forgotten the peer: announce with the event started, then report the pieces held."""
NAME_TAKEN: Final = "name taken"
"""The name belongs to another file, which somebody shares: sharing this one ends."""
