"""The process that owns a lab's nodes: ``python3 -m torrentnet.lab.engines.local.supervisor.main DIRECTORY LIFELINE
READY``.

It starts the nodes, hears what they print and how they end, and does what the lab asks for (see ``protocol``). It
ends when it is told to, or, unless the lab was released, when the lifeline does: a descriptor whose other end the lab
holds, so that the kernel closes it whatever the lab dies of. And when the keeper ends, whatever it dies of, the kernel
ends each of its children, and with a node everything that the node has started.

One thread, one loop; nothing in it waits, but for the start of a program. It has to stay that way: nodes are forks of
this process (see ``programs``), and a fork has no other thread than the one that made it.
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
    from torrentnet.lab.engines.local.supervisor.request_server import Answer, RequestConnection


class Supervisor:
    """Keeps one lab."""

    def __init__(self, lab: SupervisedLab, directory: Path, lifeline: int) -> None:
        """Raises OSError where something of it is not allowed."""
        self._directory = directory
        self._lifeline = lifeline
        self._released = False
        self._ending: list[RequestConnection] | None = None
        self._loop = EventLoop()
        journal = OutputJournal(str(directory / protocol.JOURNAL))
        self._callers = RequestServer(str(directory / protocol.SOCKET), self._loop, journal, self._do)
        self._nodes = NodeProcesses(lab, directory, self._loop, self._callers.note)
        self._loop.watch_children(self._nodes.reaped, lambda: self._end(None))
        self._loop.wait_at(lifeline, self._lost_owner)

    def run(self) -> None:
        """Keep the lab until its end."""
        self._loop.run()

    def _lost_owner(self, _: int) -> None:
        self._loop.forget(self._lifeline)
        if not self._released:
            self._end(None)

    def _do(self, caller: RequestConnection, asked: dict[str, Any], descriptors: list[int]) -> Answer | None:
        match asked["do"]:
            case "states":
                return {"states": self._nodes.states()}
            case "watch":
                self._callers.follow(caller)
                return None
            case "release":
                (self._directory / protocol.RELEASED_FILE).touch(0o600)
                self._released = True
                return {}
            case "end":
                self._end(caller)
                return None
        if self._ending is not None:
            raise RequestRejectedError("the lab is being removed")
        return self._do_to(str(asked["node"]), caller, asked, descriptors)

    def _do_to(
        self, node: str, caller: RequestConnection, asked: dict[str, Any], descriptors: list[int]
    ) -> Answer | None:
        done = partial(self._callers.tell, caller, {})
        match asked["do"]:
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
                argv = [str(word) for word in asked["argv"]]

                def ended(status: int) -> None:
                    caller.gone = None
                    self._callers.tell(caller, {"status": status})

                caller.gone = self._nodes.run(node, argv, descriptors, ended, root=bool(asked["root"]))
                return None
            case other:
                raise RequestRejectedError(f"there is no request {other!r}")
        return {}

    def _end(self, caller: RequestConnection | None) -> None:
        """End the lab, and tell the caller when that is done."""
        told = [caller] if caller is not None else []
        if self._ending is not None:
            self._ending += told
            return
        self._ending = told
        self._nodes.end(self._is_over)

    def _is_over(self) -> None:
        self._loop.end()
        for caller in self._ending or ():
            self._callers.tell(caller, {})


def main(argv: list[str]) -> int:
    """Keep the lab of a directory of the registry. The first line on READY is ``ready``, or what is wrong."""
    directory, lifeline, ready = Path(argv[1]), int(argv[2]), int(argv[3])
    for descriptor in (lifeline, ready):
        os.set_inheritable(descriptor, False)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.umask(0o022)
    tell = os.fdopen(ready, "w", encoding="utf-8")
    try:
        # Held for life: who holds it is the keeper, whatever else is written there.
        lock = os.open(directory / protocol.SUPERVISOR_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(lock, str(Owner.myself()).encode())
        lab = SupervisedLab.loads((directory / protocol.LAB_FILE).read_text(encoding="utf-8"))
        if lab.network == protocol.NAMESPACES:
            return enter_namespaces(lambda: _supervise(lab, directory, lifeline, tell))
    except (OSError, ValueError) as error:
        tell.write(f"{error}\n")
        tell.close()
        return 1
    return _supervise(lab, directory, lifeline, tell)


def _supervise(lab: SupervisedLab, directory: Path, lifeline: int, tell: TextIO) -> int:
    """Keep the lab, in the namespaces where that is done."""
    with tell:
        try:
            keeper = Supervisor(lab, directory, lifeline)
        except (OSError, ValueError) as error:
            tell.write(f"{error}\n")
            return 1
        tell.write(f"{protocol.READY}\n")
    try:
        keeper.run()
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
