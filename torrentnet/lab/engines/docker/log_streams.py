"""The containers' output and state changes, as they happen.

One thread reads Docker's events, which report every start and exit; one thread a node reads that node's log. A log
stream ends with the container's run, and is opened again at its next start, from the time of the last line seen. So is
a stream that breaks, or ends without a reason. Where that fails, or Docker has forgotten what happened meanwhile, news
of the nodes is lost, which is reported.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import docker.errors
import requests
import urllib3

import docker
from torrentnet.lab.engines.docker import labels
from torrentnet.lab.engines.docker.connection import error_reason
from torrentnet.lab.engines.docker.containers import STATUSES
from torrentnet.lab.engines.types import ALIVE, LogLine, NodeState, NodeStatus, StateChange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from torrentnet.lab.engines.steady import EngineStamps
    from torrentnet.lab.engines.types import LossCallback

ACTIONS: Final = {
    "start": NodeStatus.RUNNING,
    "unpause": NodeStatus.RUNNING,
    "pause": NodeStatus.PAUSED,
    "die": NodeStatus.EXITED,
    "destroy": NodeStatus.GONE,
}
LINE_LIMIT: Final = 16 * 1024
"""Docker itself cuts lines here."""
JOIN_TIMEOUT: Final = 5.0
REOPEN_DELAYS: Final = (0.0, 0.1, 0.3, 1.0, 2.0, 4.0)
"""Seconds before each attempt to open a stream again."""
LASTING: Final = 5.0
"""A stream that was open for this time, or has delivered something, was no failed attempt."""
STATES_TIMEOUT: Final = 5.0
"""After a gap: for the events that explain the containers' present states."""
STATES_INTERVAL: Final = 0.2
CATCH_UP: Final = 1.0
"""After a stream was opened again: for what was missed meanwhile."""
DISCONNECTED: Final = (OSError, ValueError, AttributeError, requests.RequestException, urllib3.exceptions.HTTPError)
"""What reading a stream may raise while another thread closes it."""

log: Final = logging.getLogger(__name__)


class LogStreams:
    """Follows the containers ``ids`` (by node) of one lab and calls back."""

    def __init__(
        self,
        client: docker.DockerClient,
        project: str,
        ids: Mapping[str, str],
        on_line: Callable[[LogLine], None],
        on_state: Callable[[StateChange], None],
        on_lost: LossCallback,
        *,
        stamps: EngineStamps,
    ) -> None:
        self._client = client
        self._nodes = {container: node for node, container in ids.items()}
        self._on_state = on_state
        self._on_lost = on_lost
        self._stamps = stamps
        self._followers = {
            node: _LogFollower(client, node, container, on_line, on_lost, stamps) for node, container in ids.items()
        }
        self._closing = threading.Event()
        self._lag = _Lag()
        self._placed = -math.inf
        """The time of the last event, on the lab's clock."""
        self._filters = {"label": f"{labels.LAB}={project}", "type": "container", "event": list(ACTIONS)}
        self._statuses: dict[str, NodeStatus] = {}
        """By container, as the events report them."""
        self._last = 0
        """Docker's time of the last event, in nanoseconds."""
        self._began = f"{time.time():.9f}"
        self._seen: set[tuple[str, str, int]] = set()
        """Container, action and Docker's time of each event."""
        self._events = client.api.events(decode=True, filters=self._filters)
        self._thread = threading.Thread(target=self._run, name="engine events", daemon=True)
        self._thread.start()

    def open(self, node: str) -> None:
        """Read the log of a node that runs already, from its beginning."""
        self._followers[node].started()

    def lagging(self) -> frozenset[str]:
        """Return the nodes whose lines or changes may be late, after a break."""
        if self._lag.lasts:
            return frozenset(self._followers)
        return frozenset(node for node, follower in self._followers.items() if follower.lag.lasts)

    def close(self) -> None:
        """End all threads. No callback is called afterwards."""
        self._closing.set()
        _close(self._events)
        followers = list(self._followers.values())
        for follower in followers:
            follower.close()
        for thread in [self._thread, *(follower.thread for follower in followers if follower.thread)]:
            if thread is not threading.current_thread():
                thread.join(JOIN_TIMEOUT)

    def _run(self) -> None:
        try:
            attempts = _Attempts()
            while True:
                before = self._last
                reason = self._pass_on_events()
                self._lag.begin()
                attempts.ended(useful=self._last != before)
                opened = False
                while not opened:
                    delay = attempts.next()
                    if self._closing.wait(0.0 if delay is None else delay):
                        return
                    if delay is None:
                        break
                    opened = self._reopen()
                if not opened:
                    break
                log.warning("Docker's event stream broke off (%s) and was opened again", reason)
        except Exception as error:  # a thread that ends unnoticed would be a failed expectation later
            reason = repr(error)
        self._on_lost(f"Docker's event stream broke off and could not be opened again: {reason}", "")

    def _pass_on_events(self) -> str:
        """Pass events on until the stream ends; return why it has ended."""
        try:
            for event in self._events:
                if self._closing.is_set():
                    break
                self._handle(event)
        except DISCONNECTED as error:
            return error_reason(error)
        finally:
            _release(self._events)
        return "it ended"

    def _reopen(self) -> bool:
        """Open the stream again, from the last event on; return whether that succeeded."""
        last = f"{self._last // 10**9}.{self._last % 10**9:09}" if self._last else self._began
        since: dict[str, Any] = {"since": last}
        try:
            self._events = self._client.api.events(decode=True, filters=self._filters, **since)
        except (docker.errors.DockerException, *DISCONNECTED):
            return False
        if self._closing.is_set():
            _close(self._events)  # `close` has closed the one before
        self._lag.caught_up_soon()
        threading.Thread(target=self._check_states, name="engine states", daemon=True).start()
        return True

    def _check_states(self) -> None:
        """Compare the containers with the events after a gap.

        A Docker Engine that was restarted has forgotten its events.
        """
        deadline = time.monotonic() + STATES_TIMEOUT
        while not self._closing.is_set():
            try:
                unexplained = [
                    self._nodes[container]
                    for container, status in list(self._statuses.items())
                    if container_status(self._client, container) is not status
                ]
            except (docker.errors.DockerException, *DISCONNECTED):
                return  # the streams break off, too
            if not unexplained:
                return
            if time.monotonic() > deadline:
                names = ", ".join(unexplained[:4])
                self._on_lost(f"Docker has lost the events of {names}; was the Docker Engine restarted?", "")
                return
            self._closing.wait(STATES_INTERVAL)

    def _handle(self, event: Mapping[str, Any]) -> None:
        container, action, moment = event.get("id", ""), event.get("Action", ""), event.get("timeNano", 0)
        node = self._nodes.get(container)
        status = ACTIONS.get(action)
        if node is None or status is None or (container, action, moment) in self._seen:
            return
        self._seen.add((container, action, moment))
        self._last = moment
        self._statuses[container] = status
        code = event["Actor"]["Attributes"].get("exitCode") if status is NodeStatus.EXITED else None
        # The follower first: whoever learns that a node runs may expect its lines.
        if action == "start":
            self._followers[node].started()
        self._placed = self._stamps.place(moment / 1e9, self._placed)
        self._on_state(StateChange(node, self._placed, NodeState(status, None if code is None else int(code))))


class _Attempts:
    """The attempts to open a stream again."""

    def __init__(self) -> None:
        self._failed = 0
        self._opened = time.monotonic()

    def ended(self, *, useful: bool) -> None:
        """Note that the stream has ended, and whether it had delivered something."""
        if useful or time.monotonic() - self._opened > LASTING:
            self._failed = 0

    def next(self) -> float | None:
        """Return the delay before the next attempt; None where there is none."""
        self._opened = time.monotonic()
        self._failed += 1
        return REOPEN_DELAYS[self._failed - 1] if self._failed <= len(REOPEN_DELAYS) else None


class _Lag:
    """The time in which a stream's news is late.

    It lasts from a break until shortly after the stream was opened again.
    """

    def __init__(self) -> None:
        self._until = -math.inf

    @property
    def lasts(self) -> bool:
        return time.monotonic() < self._until

    def begin(self) -> None:
        self._until = math.inf

    def caught_up_soon(self) -> None:
        if self.lasts:
            self._until = time.monotonic() + CATCH_UP

    def end(self) -> None:
        self._until = -math.inf


def container_status(client: docker.DockerClient, container: str) -> NodeStatus:
    """Return the status of a container; GONE where it was removed."""
    try:
        return STATUSES.get(client.api.inspect_container(container)["State"]["Status"], NodeStatus.GONE)
    except docker.errors.NotFound:
        return NodeStatus.GONE


class _LogFollower:
    """One node's log, over all runs of its container."""

    def __init__(
        self,
        client: docker.DockerClient,
        node: str,
        container: str,
        on_line: Callable[[LogLine], None],
        on_lost: LossCallback,
        stamps: EngineStamps,
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
        self.lag = _Lag()
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
            _close(stream)

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
        attempts = _Attempts()
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
            _close(stream)
            _release(stream)
            return
        try:
            self._pass_on(self._new_lines(stream, comparable=comparable))
        finally:
            with self._lock:
                self._stream = None
            _close(stream)
            _release(stream)

    def _new_lines(self, stream: Iterator[bytes], *, comparable: bool) -> Iterator[tuple[str, str]]:
        """Yield the lines of a stream that were not passed on before.

        The stream begins with the whole second of the last line or, where times are not ``comparable``, with the first
        line of all.
        """
        if not comparable:
            yield from itertools.islice(_lines(stream), self._count, None)
            return
        # Skip earlier lines, and as many lines of the very same time as were seen.
        resumed, seen = self._last, self._same
        for stamp, text in _lines(stream):
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
            self._on_line(LogLine(self._node, self._placed, text))


def _lines(stream: Iterator[bytes]) -> Iterator[tuple[str, str]]:
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


def _close(stream: Any) -> None:
    with contextlib.suppress(*DISCONNECTED):
        stream.close()


def _release(stream: Any) -> None:
    """Close a stream's connection once nobody reads it any more.

    The stream's ``_close`` only shuts the socket down. The garbage collector may find the socket before its owner, and
    would warn that it was not closed.
    """
    with contextlib.suppress(*DISCONNECTED):
        stream._response.raw.close()
    with contextlib.suppress(*DISCONNECTED):
        stream._response.close()
