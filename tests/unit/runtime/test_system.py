"""The system: its defaults work, and a test can replace any part of it."""

from __future__ import annotations

import fcntl
import os
import selectors
import socket
import termios
from dataclasses import FrozenInstanceError, fields, replace
from typing import TYPE_CHECKING

import pytest

from torrentnet.runtime.system import MACHINE, System

if TYPE_CHECKING:
    from pathlib import Path


class VirtualClock:
    """A clock that moves only during sleep."""

    def __init__(self) -> None:
        self.now = 100.0

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def _wait_until(system: System, deadline: float) -> int:
    """A stand-in for a program: poll once a second."""
    polls = 0
    while system.monotonic() < deadline:
        system.sleep(1.0)
        polls += 1
    return polls


def test_a_program_runs_in_virtual_time() -> None:
    clock = VirtualClock()
    system = replace(MACHINE, monotonic=clock.read, sleep=clock.sleep)
    assert _wait_until(system, 3700.0) == 3600
    assert MACHINE.monotonic() is not clock.now


def test_a_system_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        MACHINE.monotonic = lambda: 0.0  # type: ignore[misc]


def test_every_part_is_callable() -> None:
    assert all(callable(getattr(MACHINE, field.name)) for field in fields(System))


def test_sockets_wake_a_selector() -> None:
    inside, outside = MACHINE.make_socket_pair()
    with inside, outside, MACHINE.make_selector() as selector:
        selector.register(inside, selectors.EVENT_READ)
        assert not selector.select(0)
        outside.send(b"x")
        assert MACHINE.socket_counter(inside, termios.FIONREAD) == 1
        assert selector.select(0)


def test_a_thread_runs_and_ends() -> None:
    done: list[str] = []
    thread = MACHINE.start_thread(lambda: done.append("done"), "worker")
    thread.join(60.0)
    assert not thread.is_alive()
    assert done == ["done"]


def test_a_locked_file_is_refused_to_others(tmp_path: Path) -> None:
    path = tmp_path / "file"
    first, second = (MACHINE.open_file(path, os.O_RDWR | os.O_CREAT, 0o600) for _ in range(2))
    try:
        MACHINE.lock_file(first)
        with pytest.raises(BlockingIOError):
            MACHINE.lock_file(second)
        fcntl.flock(first, fcntl.LOCK_UN)
        MACHINE.lock_file(second)
    finally:
        os.close(first)
        os.close(second)


def test_a_file_is_sent_from_memory() -> None:
    descriptor = MACHINE.make_memory_file("block")
    inside, outside = MACHINE.make_socket_pair()
    with inside, outside:
        os.write(descriptor, b"piece")
        assert MACHINE.send_file(outside.fileno(), descriptor, 0, 5) == 5
        assert inside.recv(16) == b"piece"
    os.close(descriptor)


def test_randomness_repeats_only_with_a_seed() -> None:
    assert MACHINE.make_random(7).random() == MACHINE.make_random(7).random()
    assert len(MACHINE.make_secret(32)) == 32
    assert MACHINE.make_secret(32) != MACHINE.make_secret(32)


def test_a_numeric_host_is_its_own_address() -> None:
    assert MACHINE.resolve_host("127.0.0.1") == "127.0.0.1"
    with MACHINE.make_socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((MACHINE.resolve_host("localhost"), 0))
