"""The command line: ``python3 -m torrentnet.shaper apply|status|stop|probe|run``."""

import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from typing import Final

from torrentnet.runtime.standard_streams import open_standard_streams
from torrentnet.shaper.control import ControlRequest, ControlServer, send_request
from torrentnet.shaper.daemon import ShaperDaemon, emit_to_node
from torrentnet.shaper.errors import AlreadyRunningError, InvalidStateError, NotRunningError, ShaperError
from torrentnet.shaper.priority import raise_priority
from torrentnet.shaper.queues import NetfilterQueues
from torrentnet.shaper.state import MAX_STATE_BYTES, parse_state

USAGE: Final = """\
usage: python3 -m torrentnet.shaper apply < STATE   apply a state; start the shaper where none runs
       python3 -m torrentnet.shaper status          show the state, the counts and the accuracy
       python3 -m torrentnet.shaper stop            release waiting packets when due, then end
       python3 -m torrentnet.shaper probe           try whether this kernel supports it; changes this node's rules
       python3 -m torrentnet.shaper run             run the shaper in the foreground

Delay, jitter, corruption, duplication and reordering of the packets that iptables rules send to an NFQUEUE.
A state is lines of text:
    seed 7
    queue 4 delay=20ms jitter=5ms corruption=1% duplication=0.5% reordering=2%
A queue that is not named releases everything at once. Needs CAP_NET_ADMIN and CAP_NET_RAW.
Exit status: 0 done, 1 the kernel refused, 2 invalid arguments or state, 3 no shaper runs here."""
START_TIMEOUT: Final = 5.0


def main(arguments: list[str]) -> int:
    """Run a command; returns the exit status."""
    open_standard_streams()
    if arguments in (["-h"], ["--help"], ["help"]):
        print(USAGE)
        return 0
    if len(arguments) != 1 or arguments[0] not in {"apply", "status", "stop", "probe", "run"}:
        print(USAGE, file=sys.stderr)
        return 2
    try:
        if arguments == ["run"]:
            _serve(lambda: print("shaper: ready", flush=True))
            return 0
        if arguments == ["probe"]:
            from torrentnet.shaper.probe import probe

            print(probe())
            return 0
        if arguments == ["apply"]:
            status, text = _apply(sys.stdin.read(MAX_STATE_BYTES + 1))
        else:
            status, text = send_request(ControlRequest(arguments[0]))
    except ShaperError as error:
        status, text = error.status, str(error)
    except KeyboardInterrupt:
        return 130
    if text:
        print(text if status == 0 else f"shaper: error: {text}", file=sys.stdout if status == 0 else sys.stderr)
    return status


def _apply(state: str) -> tuple[int, str]:
    if len(state) > MAX_STATE_BYTES - 64:
        raise InvalidStateError(f"a state of more than {MAX_STATE_BYTES - 64} bytes")
    parse_state(state)
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            return send_request(ControlRequest("apply", state))
        except NotRunningError as error:
            if time.monotonic() > deadline:
                raise
            if isinstance(error.__cause__, ConnectionRefusedError):
                _start()
            else:
                # A shaper that was stopped may end at this very moment.
                time.sleep(0.005)


def _serve(listening: Callable[[], None]) -> None:
    with closing(ControlServer()) as server, closing(NetfilterQueues()) as queues:
        daemon = ShaperDaemon(server, queues, raise_priority())
        listening()
        daemon.run()


def _start() -> None:
    """Start the shaper as a daemon, and return when it listens.

    Raises ShaperError with the daemon's message.
    """
    reading, error_pipe = os.pipe()
    if child := os.fork():
        os.close(error_pipe)
        os.waitpid(child, 0)
        with open(reading, encoding="utf-8") as pipe:
            message = pipe.read()
        if message:
            raise ShaperError(message)
        return
    # The daemon's parent becomes the node's process 1: when that ends, the kernel ends the daemon too.
    os.setsid()
    if os.fork():
        os._exit(0)
    os.close(reading)
    status, starting = 0, True

    def listening() -> None:
        nonlocal starting
        starting = False
        os.close(error_pipe)

    try:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        os.close(null)
        _serve(listening)
    except AlreadyRunningError:
        pass  # Another shaper was started at the same moment, which is as good.
    except BaseException as error:
        status = 1
        text = str(error) if isinstance(error, ShaperError) else f"{type(error).__name__}: {error}"
        if starting:
            os.write(error_pipe, text.encode())
        else:
            emit_to_node("shaper_failed", reason=text)
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
