"""The capture of a lab, as one file for Wireshark.

It has the packets, the events, and what faults did to packets.
"""
