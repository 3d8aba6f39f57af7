"""The bytes between peers: handshake, messages, extension protocol."""
