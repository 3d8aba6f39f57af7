"""The containers' output and state changes, as they happen.

One thread reads Docker's events, which report every start and exit; one thread a node reads that node's log. A log
stream ends with the container's run, and is opened again at its next start, from the time of the last line seen.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import docker.errors
import requests
import urllib3

import docker
from torrentnet.lab.engines.docker import labels
from torrentnet.lab.engines.types import LogLine, NodeState, NodeStatus, StateChange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

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
    ) -> None:
        self._client = client
        self._nodes = {container: node for node, container in ids.items()}
        self._on_state = on_state
        self._followers = {node: _LogFollower(client, node, container, on_line) for node, container in ids.items()}
        self._closing = threading.Event()
        filters = {"label": f"{labels.LAB}={project}", "type": "container", "event": list(ACTIONS)}
        self._events = client.api.events(decode=True, filters=filters)
        self._thread = threading.Thread(target=self._run, name="engine events", daemon=True)
        self._thread.start()

    def open(self, node: str) -> None:
        """Read the log of a node that runs already, from its beginning."""
        self._followers[node].started()

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
            for event in self._events:
                if self._closing.is_set():
                    return
                self._handle(event)
        except DISCONNECTED as error:
            if not self._closing.is_set():
                log.warning("Docker's event stream broke: %s", error)
        finally:
            _release(self._events)

    def _handle(self, event: Mapping[str, Any]) -> None:
        node = self._nodes.get(event.get("id", ""))
        status = ACTIONS.get(event.get("Action", ""))
        if node is None or status is None:
            return
        code = event["Actor"]["Attributes"].get("exitCode") if status is NodeStatus.EXITED else None
        # The follower first: whoever learns that a node runs may expect its lines.
        if event["Action"] == "start":
            self._followers[node].started()
        self._on_state(
            StateChange(node, event["timeNano"] / 1e9, NodeState(status, None if code is None else int(code)))
        )


class _LogFollower:
    """One node's log, over all runs of its container."""

    def __init__(
        self, client: docker.DockerClient, node: str, container: str, on_line: Callable[[LogLine], None]
    ) -> None:
        self._client = client
        self._node = node
        self._container = container
        self._on_line = on_line
        self._lock = threading.Condition()
        self._starts = 0
        self._read = 0
        self._closing = False
        self._stream: Any = None
        self._last = ""
        """Docker's time of the last line, as text of a fixed width: texts compare as times do."""
        self._same = 0
        """How many lines with that very time were seen."""
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
                self._follow()
            except docker.errors.NotFound:
                return
            except (docker.errors.APIError, *DISCONNECTED) as error:
                with self._lock:
                    if self._closing:
                        return
                log.warning("the log of %s broke off: %s", self._node, error)

    def _follow(self) -> None:
        since = {"since": int(_seconds(self._last))} if self._last else {}
        stream = self._client.api.logs(
            self._container, stdout=True, stderr=True, stream=True, follow=True, timestamps=True, **since
        )
        with self._lock:
            self._stream = stream
            closing = self._closing
        if closing:
            _close(stream)
            _release(stream)
            return
        try:
            self._pass_on(stream)
        finally:
            with self._lock:
                self._stream = None
            _close(stream)
            _release(stream)

    def _pass_on(self, stream: Iterator[bytes]) -> None:
        # The stream begins with the whole second of the last line: skip earlier lines, and as many lines of the very
        # same time as were seen.
        resumed, seen = self._last, self._same
        for stamp, text in _lines(stream):
            if resumed and stamp <= resumed and (stamp < resumed or seen > 0):
                seen -= stamp == resumed
                continue
            self._same = self._same + 1 if stamp == self._last else 1
            self._last = stamp
            with self._lock:
                if self._closing:
                    return
            self._on_line(LogLine(self._node, _seconds(stamp), text))


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
