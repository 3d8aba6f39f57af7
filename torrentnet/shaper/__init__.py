"""Delay, jitter, corruption, duplication and reordering of received packets, where the kernel has no netem.

A program of its own inside a node: iptables hands each packet from a chosen address to an NFQUEUE, the kernel keeps
the packet, and this program says when it may go on. It knows no other part of torrentnet, and uses the standard
library only.
"""
