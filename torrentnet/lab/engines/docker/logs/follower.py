"""The follower of one container's log, over all runs of the container.

Tested by tests/unit/lab/engines/docker/logs/test_streams.py.
"""

from __future__ import annotations

import itertools
import logging
import math
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import docker.errors

import docker
from torrentnet.lab.engines.docker.connection import error_reason
from torrentnet.lab.engines.docker.containers import container_status
from torrentnet.lab.engines.docker.logs.reopening import (
    DISCONNECTED,
    ReopenAttempts,
    StreamLag,
    close_stream,
    release_stream,
)
from torrentnet.lab.engines.docker.logs.unread import UnreadEstimate
from torrentnet.lab.engines.steady import STEADY
from torrentnet.lab.engines.types import ALIVE, LogLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torrentnet.lab.engines.steady import EngineStamps
    from torrentnet.lab.engines.types import LossCallback

LINE_LIMIT: Final = 16 * 1024
"""Docker itself cuts lines here."""

log: Final = logging.getLogger(__name__)


class LogFollower:
    """One node's log, over all runs of its container."""

    def __init__(
        self,
        client: docker.DockerClient,
        node: str,
        container: str,
        on_line: Callable[[LogLine], None],
        on_lost: LossCallback,
        stamps: EngineStamps,
        limit: int,
    ) -> None:
        self._client = client
        self._node = node
        self._container = container
        self._on_line = on_line
        self._on_lost = on_lost
        self._stamps = stamps
        self._lock = threading.Condition()
        self._starts = 0
        self._read = 0
        self._closing = False
        self._stream: Any = None
        self._last = ""
        """Docker's time of the last line, as text of a fixed width: texts compare as times do."""
        self._same = 0
        """How many lines with that very time were seen."""
        self._count = 0
        """How many lines were seen."""
        self._placed = -math.inf
        """The time of the last line, on the lab's clock."""
        self.lag = StreamLag()
        self._unread = UnreadEstimate(limit)
        self.thread: threading.Thread | None = None

    def started(self) -> None:
        """Read the next run of the container, which has just started."""
        with self._lock:
            self._starts += 1
            self._lock.notify_all()
            if self.thread is None and not self._closing:
                self.thread = threading.Thread(target=self._run, name=f"log of {self._node}", daemon=True)
                self.thread.start()

    def close(self) -> None:
        """Let the thread end."""
        with self._lock:
            self._closing = True
            self._lock.notify_all()
            stream = self._stream
        if stream is not None:
            close_stream(stream)

    def _run(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._closing or self._starts > self._read)
                if self._closing:
                    return
                self._read = self._starts
            try:
                reason = self._follow_run()
            except docker.errors.NotFound:
                self.lag.end()
                return
            except Exception as error:  # a thread that ends unnoticed would be a failed expectation later
                reason = repr(error)
            if reason:
                with self._lock:
                    if self._closing:
                        return
                self._on_lost(f"the log of {self._node} broke off and could not be opened again: {reason}", self._node)
                return

    def _follow_run(self) -> str:
        """Read the log until the container's run is over.

        Returns why the log could not be read to its end, or nothing. Raises NotFound where the container was removed.
        """
        attempts = ReopenAttempts()
        while True:
            before, broken, reason = self._last, False, "it ended"
            try:
                self._follow()
            except docker.errors.NotFound:
                raise
            except (docker.errors.APIError, *DISCONNECTED) as error:
                broken, reason = True, error_reason(error)
            with self._lock:
                if self._closing:
                    return ""
            # After a break, the end of the log is read once more.
            if not broken and self._is_over():
                self.lag.end()
                return ""
            self.lag.begin()
            attempts.ended(useful=self._last != before)
            delay = attempts.next()
            if delay is None:
                return reason
            log.warning("the log of %s broke off (%s) and is opened again", self._node, reason)
            with self._lock:
                if self._lock.wait_for(lambda: self._closing, delay):
                    return ""

    def _is_over(self) -> bool:
        """Return whether the container's run that was read has ended."""
        with self._lock:
            if self._starts > self._read:
                return True
        try:
            return container_status(self._client, self._container) not in ALIVE
        except (docker.errors.DockerException, *DISCONNECTED):
            return False

    def _follow(self) -> None:
        comparable = self._stamps.comparable(self._placed)
        since = {"since": int(_seconds(self._last))} if self._last and comparable else {}
        stream = self._client.api.logs(
            self._container, stdout=True, stderr=True, stream=True, follow=True, timestamps=True, **since
        )
        self.lag.caught_up_soon()
        with self._lock:
            self._stream = stream
            closing = self._closing
        if closing:
            close_stream(stream)
            release_stream(stream)
            return
        try:
            self._pass_on(self._new_lines(stream, comparable=comparable))
        finally:
            with self._lock:
                self._stream = None
            close_stream(stream)
            release_stream(stream)

    def _new_lines(self, stream: Iterator[bytes], *, comparable: bool) -> Iterator[tuple[str, str]]:
        """Yield the lines of a stream that were not passed on before.

        The stream begins with the whole second of the last line or, where times are not ``comparable``, with the first
        line of all.
        """
        if not comparable:
            yield from itertools.islice(split_lines(stream), self._count, None)
            return
        # Skip earlier lines, and as many lines of the very same time as were seen.
        resumed, seen = self._last, self._same
        for stamp, text in split_lines(stream):
            if resumed and stamp <= resumed and (stamp < resumed or seen > 0):
                seen -= stamp == resumed
            else:
                resumed = ""
                yield stamp, text

    def _pass_on(self, lines: Iterable[tuple[str, str]]) -> None:
        for stamp, text in lines:
            self._same = self._same + 1 if stamp == self._last else 1
            self._last = stamp
            self._count += 1
            with self._lock:
                if self._closing:
                    return
            self._placed = self._stamps.place(_seconds(stamp), self._placed)
            if self._unread.exceeds_limit(self._placed, STEADY.now(), len(text)):
                reason = f"{self._node} printed faster than its log could be read, and Docker removes the oldest lines"
                self._on_lost(reason, self._node)
            self._on_line(LogLine(self._node, self._placed, text))


def split_lines(stream: Iterator[bytes]) -> Iterator[tuple[str, str]]:
    """Split a log stream from Docker into pairs of time and text.

    A line may arrive in pieces, or several lines at once.
    """
    rest = b""
    for piece in stream:
        rest += piece
        *whole, rest = rest.split(b"\n")
        if len(rest) > LINE_LIMIT:
            whole.append(rest)
            rest = b""
        for line in whole:
            stamp, _, text = line.decode("utf-8", "replace").partition(" ")
            if stamp:
                yield stamp, text.rstrip("\r")
    if rest:
        stamp, _, text = rest.decode("utf-8", "replace").partition(" ")
        yield stamp, text


def _seconds(stamp: str) -> float:
    """Convert Docker's time (RFC 3339, nanoseconds, UTC) to seconds since the epoch."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    try:
        moment = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp()
        return moment + (float(f"0.{fraction}") if fraction else 0.0)
    except ValueError:
        return 0.0
