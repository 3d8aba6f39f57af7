"""The containers' output and state changes, as they happen.

One thread reads Docker's events, which report every start and exit; one thread a node reads that node's log. A log
stream ends with the container's run, and is opened again at its next start, from the time of the last line seen. So is
a stream that breaks, or ends without a reason. Where that fails, or Docker has forgotten what happened meanwhile, news
of the nodes is lost, which is reported.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import docker.errors

import docker
from torrentnet.lab.engines.docker import labels
from torrentnet.lab.engines.docker.connection import error_reason
from torrentnet.lab.engines.docker.containers import container_status
from torrentnet.lab.engines.docker.logs.follower import LogFollower
from torrentnet.lab.engines.docker.logs.reopening import (
    DISCONNECTED,
    ReopenAttempts,
    StreamLag,
    close_stream,
    release_stream,
)
from torrentnet.lab.engines.types import LogLine, NodeState, NodeStatus, StateChange

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torrentnet.lab.engines.steady import EngineStamps
    from torrentnet.lab.engines.types import LossCallback

ACTIONS: Final = {
    "start": NodeStatus.RUNNING,
    "unpause": NodeStatus.RUNNING,
    "pause": NodeStatus.PAUSED,
    "die": NodeStatus.EXITED,
    "destroy": NodeStatus.GONE,
}
JOIN_TIMEOUT: Final = 5.0
STATES_TIMEOUT: Final = 5.0
"""After a gap: for the events that explain the containers' present states."""
STATES_INTERVAL: Final = 0.2

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
        limits: Mapping[str, int] | None = None,
    ) -> None:
        """``limits`` are the most bytes of one file of each node's log."""
        self._client = client
        self._nodes = {container: node for node, container in ids.items()}
        self._on_state = on_state
        self._on_lost = on_lost
        self._stamps = stamps
        self._followers = {
            node: LogFollower(client, node, container, on_line, on_lost, stamps, (limits or {}).get(node, 0))
            for node, container in ids.items()
        }
        self._closing = threading.Event()
        self._lag = StreamLag()
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
        close_stream(self._events)
        followers = list(self._followers.values())
        for follower in followers:
            follower.close()
        for thread in [self._thread, *(follower.thread for follower in followers if follower.thread)]:
            if thread is not threading.current_thread():
                thread.join(JOIN_TIMEOUT)

    def _run(self) -> None:
        try:
            attempts = ReopenAttempts()
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
            release_stream(self._events)
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
            close_stream(self._events)  # `close` has closed the one before
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
