"""The supervisor's main program.

Usage: ``python3 -m torrentnet.lab.engines.local.supervisor.main DIRECTORY LIFELINE READY``.

It starts the nodes, reads what they print, notices their ends, and does what the lab requests (see ``protocol``). It
ends at the request ``end`` or, unless the lab was released, when the lifeline closes: a descriptor whose other end
the lab holds, so that the kernel closes it whatever the lab dies of. When the supervisor ends, whatever the reason, the
kernel ends each of its children, and with a node everything that the node has started.

One thread, one loop; nothing in it blocks, except for the start of a program. It has to stay that way: nodes are forks
of this process (see ``preload``), and a fork has only the thread that made it.

Tested by tests/integration/test_local_engine.py.
"""

from __future__ import annotations

import fcntl
import os
import resource
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from torrentnet.lab.engines.local import protocol
from torrentnet.lab.engines.local.protocol import SupervisedLab
from torrentnet.lab.engines.local.supervisor.event_loop import EventLoop
from torrentnet.lab.engines.local.supervisor.journal import OutputJournal
from torrentnet.lab.engines.local.supervisor.nodes import NodeProcesses
from torrentnet.lab.engines.local.supervisor.request_server import RequestRejectedError, RequestServer
from torrentnet.lab.engines.local.supervisor.spawner import enter_namespaces
from torrentnet.lab.engines.owner import Owner

if TYPE_CHECKING:
    from torrentnet.lab.engines.local.supervisor.request_server import Reply, RequestConnection


class Supervisor:
    """Supervises one lab."""

    def __init__(self, lab: SupervisedLab, directory: Path, lifeline: int) -> None:
        """Raises OSError where the kernel refuses something."""
        self._directory = directory
        self._lifeline = lifeline
        self._released = False
        self._ending: list[RequestConnection] | None = None
        """The connections that wait for the end; None before it."""
        self._loop = EventLoop()
        journal = OutputJournal(str(directory / protocol.JOURNAL), {node.name: node.log for node in lab.nodes})
        self._server = RequestServer(str(directory / protocol.SOCKET), self._loop, journal, self._handle)
        self._nodes = NodeProcesses(lab, directory, self._loop, self._server.record)
        self._loop.watch_children(self._nodes.child_ended, lambda: self._end(None))
        self._loop.watch(lifeline, self._owner_gone)

    def run(self) -> None:
        """Supervise the lab until its end."""
        self._loop.run()

    def _owner_gone(self, _: int) -> None:
        self._loop.forget(self._lifeline)
        if not self._released:
            self._end(None)

    def _handle(self, connection: RequestConnection, request: dict[str, Any], descriptors: list[int]) -> Reply | None:
        match request["do"]:
            case "states":
                return {"states": self._nodes.states()}
            case "watch":
                self._server.follow(connection)
                return None
            case "release":
                (self._directory / protocol.RELEASED_FILE).touch(0o600)
                self._released = True
                return {}
            case "end":
                self._end(connection)
                return None
        if self._ending is not None:
            raise RequestRejectedError("the lab is being removed")
        if request["do"] == "sniff":
            addresses = [str(address) for address in request["addresses"]]
            connection.on_close = self._nodes.sniff(int(request["snap"]), addresses, descriptors)
            return {}
        return self._handle_node(str(request["node"]), connection, request, descriptors)

    def _handle_node(
        self, node: str, connection: RequestConnection, request: dict[str, Any], descriptors: list[int]
    ) -> Reply | None:
        done = partial(self._server.reply, connection, {})
        match request["do"]:
            case "start":
                self._nodes.start(node)
            case "kill":
                self._nodes.kill(node, done)
                return None
            case "stop":
                self._nodes.stop(node, done)
                return None
            case "pause":
                self._nodes.pause(node)
            case "resume":
                self._nodes.resume(node)
            case "exec":
                argv = [str(word) for word in request["argv"]]

                def ended(status: int) -> None:
                    connection.on_close = None
                    self._server.reply(connection, {"status": status})

                connection.on_close = self._nodes.run(node, argv, descriptors, ended, root=bool(request["root"]))
                return None
            case other:
                raise RequestRejectedError(f"unknown request {other!r}")
        return {}

    def _end(self, connection: RequestConnection | None) -> None:
        """End the lab, and reply to the connection once that is done."""
        waiting = [connection] if connection is not None else []
        if self._ending is not None:
            self._ending += waiting
            return
        self._ending = waiting
        self._nodes.end(self._ended)

    def _ended(self) -> None:
        self._loop.end()
        for connection in self._ending or ():
            self._server.reply(connection, {})


def main(argv: list[str]) -> int:
    """Supervise the lab in a directory of the registry.

    The first line on the descriptor READY is ``ready``, or an error message.
    """
    directory, lifeline, ready = Path(argv[1]), int(argv[2]), int(argv[3])
    for descriptor in (lifeline, ready):
        os.set_inheritable(descriptor, False)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.umask(0o022)
    report = os.fdopen(ready, "w", encoding="utf-8")
    try:
        # Held for life: whoever holds the lock is the supervisor, whatever the file says.
        lock = os.open(directory / protocol.SUPERVISOR_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(lock, str(Owner.myself()).encode())
        lab = SupervisedLab.loads((directory / protocol.LAB_FILE).read_text(encoding="utf-8"))
        if lab.network == protocol.NAMESPACES:
            return enter_namespaces(lambda: _supervise(lab, directory, lifeline, report))
    except (OSError, ValueError) as error:
        report.write(f"{error}\n")
        report.close()
        return 1
    return _supervise(lab, directory, lifeline, report)


def _supervise(lab: SupervisedLab, directory: Path, lifeline: int, report: TextIO) -> int:
    """Supervise the lab, in the namespaces that this process is in."""
    with report:
        try:
            supervisor = Supervisor(lab, directory, lifeline)
        except (OSError, ValueError) as error:
            report.write(f"{error}\n")
            return 1
        report.write(f"{protocol.READY}\n")
    try:
        supervisor.run()
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
