"""Importing this module makes a Ctrl-C end the process at once and in silence.

A launcher imports it first, because the import of a program takes a tenth of a second and would answer a Ctrl-C with a
traceback. The program installs its own handlers later. What Python does before it runs the launcher is out of reach.

Tested by tests/loopback/test_tracker_process.py.
"""

import os
import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
