"""Encoders and decoders of everything that is sent over the network.

Nothing in this package uses a socket, a clock or a file.
"""
