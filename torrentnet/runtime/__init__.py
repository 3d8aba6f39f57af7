"""Modules that every program shares.

They are events, units, addresses, options, signals, and the seam to the machine.
"""
