"""Signals stay with the main thread."""

from __future__ import annotations

import signal
import threading

from torrentnet.runtime.signals import block_signals, block_sigttou


def _blocked() -> set[signal.Signals | int]:
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def test_a_thread_blocks_every_signal_for_itself() -> None:
    found: list[set[signal.Signals | int]] = []
    before = _blocked()

    def run() -> None:
        block_signals()
        found.append(_blocked())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found[0] >= {signal.SIGINT, signal.SIGTERM, signal.SIGTTIN, signal.SIGTTOU}
    assert _blocked() == before


def test_sigttou_is_blocked_only_inside_the_block() -> None:
    before = _blocked()
    with block_sigttou():
        assert signal.SIGTTOU in _blocked()
    assert _blocked() == before
