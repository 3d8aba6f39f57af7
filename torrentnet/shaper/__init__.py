"""The shaper: network impairments on kernels that do not have netem.

It delays (with jitter), corrupts, duplicates and reorders received packets.

A program of its own inside a node: iptables passes each packet from a chosen address to an NFQUEUE, the kernel holds
the packet, and this program decides when to release it. Standard library only.

``schedule``, ``state``, ``netlink``, ``corruption`` and ``packet_clock`` have no socket and no clock of their own. The
rest works on the queues of a real kernel, with the machine's clock and sockets: a simulation delays its packets itself.
"""
