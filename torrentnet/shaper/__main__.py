"""The command line: python3 -m torrentnet.shaper apply|status|stop|probe|run."""

import os
import sys
import time
from collections.abc import Callable
from contextlib import closing

from torrentnet.shaper.control import ControlRequest, ControlServer, send_request
from torrentnet.shaper.daemon import ShaperDaemon, log_to_node
from torrentnet.shaper.errors import AlreadyRunningError, InvalidStateError, NotRunningError, ShaperError
from torrentnet.shaper.priority import raise_priority
from torrentnet.shaper.queues import NetfilterQueues
from torrentnet.shaper.state import MAX_STATE_BYTES, parse_state

USAGE = """\
usage: python3 -m torrentnet.shaper apply < STATE   puts a state in force; starts the shaper where none runs
       python3 -m torrentnet.shaper status          what was asked, what was done, and how exactly
       python3 -m torrentnet.shaper stop            lets what waits go on at its time, then ends
       python3 -m torrentnet.shaper probe           whether this kernel can do it, by trying; changes this node's rules
       python3 -m torrentnet.shaper run             the shaper itself, in the foreground

Delay, jitter, corruption, duplication and reordering of the packets that iptables rules send to an NFQUEUE.
A state is lines of text:
    seed 7
    queue 4 delay=20ms jitter=5ms corruption=1% duplication=0.5% reordering=2%
A queue that is not named passes everything at once. Needs CAP_NET_ADMIN and CAP_NET_RAW.
Exit status: 0 done, 1 the kernel refused, 2 wrong words or a wrong state, 3 no shaper runs here."""
START_TIMEOUT = 5.0


def main(words: list[str]) -> int:
    """Does what the words say; returns the exit status."""
    if words in (["-h"], ["--help"], ["help"]):
        print(USAGE)
        return 0
    if len(words) != 1 or words[0] not in {"apply", "status", "stop", "probe", "run"}:
        print(USAGE, file=sys.stderr)
        return 2
    try:
        if words == ["run"]:
            _serve(lambda: print("shaper: ready", flush=True))
            return 0
        if words == ["probe"]:
            from torrentnet.shaper.probe import probe

            print(probe())
            return 0
        if words == ["apply"]:
            status, text = _apply(sys.stdin.read(MAX_STATE_BYTES + 1))
        else:
            status, text = send_request(ControlRequest(words[0]))
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
                # One that was told to stop may end at this very moment.
                time.sleep(0.005)


def _serve(listening: Callable[[], None]) -> None:
    with closing(ControlServer()) as server, closing(NetfilterQueues()) as queues:
        daemon = ShaperDaemon(server, queues, raise_priority())
        listening()
        daemon.run()


def _start() -> None:
    """Starts the shaper apart from this process, and returns when it listens. Raises ShaperError with what it said."""
    told, tell = os.pipe()
    if child := os.fork():
        os.close(tell)
        os.waitpid(child, 0)
        with open(told, encoding="utf-8") as pipe:
            said = pipe.read()
        if said:
            raise ShaperError(said)
        return
    # Its parent is to be the node's first process, whose end is the end of all others in the container.
    os.setsid()
    if os.fork():
        os._exit(0)
    os.close(told)
    status, talks = 0, True

    def listening() -> None:
        nonlocal talks
        talks = False
        os.close(tell)

    try:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        os.close(null)
        _serve(listening)
    except AlreadyRunningError:
        pass  # Somebody else has started one at the same moment, which does as well.
    except BaseException as error:
        status = 1
        text = str(error) if isinstance(error, ShaperError) else f"{type(error).__name__}: {error}"
        if talks:
            os.write(tell, text.encode())
        else:
            log_to_node(text)
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
