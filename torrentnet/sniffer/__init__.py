"""The program that sees the packets of a lab's network.

It is on the lab's bridge, with the one right that it needs.
"""
