"""The program runs on a terminal, confined, and ends with all its processes."""

from __future__ import annotations

import os
import select
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.adapters.observer.observed import Observer, root_only
from torrentnet.adapters.observer.child import child_environment, descendants

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

USER = 10001


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A directory that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="torrentnet-test-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


LOOK = """
import os, resource, sys
print('tty', os.isatty(0), os.isatty(1), os.ttyname(0) == os.ttyname(2), os.get_terminal_size().columns)
print('session', os.getsid(0) == os.getpid() == os.tcgetpgrp(0))
print('open', sorted(int(name) for name in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + name)))
print('core', resource.getrlimit(resource.RLIMIT_CORE)[0], 'oom', open('/proc/self/oom_score_adj').read().strip())
print('user', os.getresuid(), os.getresgid(), os.getgroups())
status = dict(line.split(':\\t') for line in open('/proc/self/status').read().splitlines() if ':\\t' in line)
print('caps', int(status['CapEff'], 16), int(status['CapPrm'], 16), 'new', status['NoNewPrivs'])
print('env', sorted(os.environ), os.environ['HOME'] == os.getcwd())
try: os.kill(os.getppid(), 0); print('can signal the observer')
except PermissionError: print('cannot signal the observer')
try: open('/proc/%d/environ' % os.getppid()).read(); print('can read the observer')
except OSError: print('cannot read the observer')
try: os.kill(os.getppid(), 9)
except PermissionError: pass
"""


def test_the_environment_is_not_the_observers() -> None:
    own = {
        "PATH": "/bin",
        "JAVA_HOME": "/jdk",
        "TORRENTNET_CONSOLE": "x",
        "PYTHONPATH": "ours",
        "LD_LIBRARY_PATH": "ours",
        "TERM": "xterm",
        "TORRENTNET_CHILD_PYTHONPATH": "/program/.site",
    }
    assert child_environment(own, Path("/data")) == {
        "PATH": "/bin",
        "JAVA_HOME": "/jdk",
        "LANG": "C.UTF-8",
        "HOME": "/data",
        "TERM": "dumb",
        "COLUMNS": "500",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": "/program/.site",
    }


@root_only
def test_the_program_is_confined(reachable: Path) -> None:
    environ = {"TORRENTNET_SECRET": "x", "TORRENTNET_CHILD_OWN": "1"}
    code = f"{LOOK}\nprint('end'); input()"
    with Observer(
        reachable, "run", "--user", f"{USER}:{USER}", argv=["python3", "-c", code], environ=environ
    ) as observer:
        observer.until("said", text="end")
        said = dict(line.partition(" ")[::2] for line in observer.said())
        assert said["tty"] == "True True True 500"
        assert said["session"] == "True"
        assert said["open"].startswith("[0, 1, 2")
        assert said["core"] == "0 oom 1000"
        assert said["user"] == f"({USER}, {USER}, {USER}) ({USER}, {USER}, {USER}) []"
        assert said["caps"].startswith("0 0 new 1")
        assert "TORRENTNET" not in said["env"] and "'PYTHONPATH'" not in said["env"] and said["env"].endswith("True")
        assert "'OWN'" in said["env"]
        assert "cannot signal the observer" in observer.said()
        assert "cannot read the observer" in observer.said()


def test_the_observers_rights_do_not_reach_a_program_of_the_same_user(tmp_path: Path) -> None:
    with Observer(tmp_path, "run", argv=["grep", "-E", "Cap(Prm|Eff)|NoNewPrivs", "/proc/self/status"]) as observer:
        observer.until("exited")
        said = dict(line.split(":\t") for line in observer.said())
        files_only = 1 << 1 | 1 << 2
        assert not int(said["CapPrm"], 16) & ~files_only
        assert not int(said["CapEff"], 16) & ~files_only
        assert said["NoNewPrivs"] == "1"


def test_no_signal_is_ignored(tmp_path: Path) -> None:
    with Observer(tmp_path, "run", argv=["grep", "SigIgn", "/proc/self/status"]) as observer:
        assert observer.wait() == 0
        name, ignored = observer.said()[0].split()
        reserved = 0b11 << 31  # signals 32 and 33 are the C library's own; no program can change what they do
        assert (name, int(ignored, 16) & ~reserved) == ("SigIgn:", 0)


@pytest.mark.parametrize(
    ("argv", "status", "reason"),
    [
        (["no-such-program"], 127, "cannot run no-such-program: no such file or directory"),
        (["/etc/passwd"], 126, "cannot run /etc/passwd: permission denied"),
    ],
)
def test_a_program_that_cannot_be_run_is_named(argv: Sequence[str], status: int, reason: str, tmp_path: Path) -> None:
    with Observer(tmp_path, "run", argv=argv) as observer:
        assert observer.wait() == status
        assert observer.until("error")["reason"].lower().startswith(reason)
        assert observer.until("exited")["status"] == str(status)


@pytest.mark.parametrize(
    ("code", "status"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 11)", 139), ("", 0)]
)
def test_the_observer_ends_with_the_programs_status(code: str, status: int, tmp_path: Path) -> None:
    with Observer(tmp_path, "run", code=f"print('last words', end='')\n{code}") as observer:
        assert observer.wait() == status
        if status != 139:
            assert observer.said() == ["last words"]
        assert observer.events[-1].name == "exited"
        assert observer.events[-1].fields == {"status": str(status)}


FAMILY = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        print('grandchild', os.getpid(), flush=True)
        time.sleep(600)
    os._exit(0)
{end}
"""


def alive(pid: int) -> bool:
    try:
        return b") Z" not in Path(f"/proc/{pid}/stat").read_bytes()
    except FileNotFoundError:
        return False


def test_all_processes_end_with_the_program(tmp_path: Path) -> None:
    with Observer(tmp_path, "run", code=FAMILY.format(end="time.sleep(0.5)")) as observer:
        assert observer.wait() == 0
        assert not alive(int(observer.said()[0].split()[1]))


def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    with Observer(tmp_path, "run", code=FAMILY.format(end="time.sleep(600)")) as observer:
        observer.until("said")
        observer.signal(signal.SIGTERM)
        assert observer.wait() == 128 + signal.SIGKILL
        assert not alive(int(observer.said()[0].split()[1]))
        assert observer.until("closing")["reason"] == "SIGTERM"


def test_sigterm_reaches_the_program(tmp_path: Path) -> None:
    code = "import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit('bye'))\nprint('up')\ntime.sleep(600)"
    with Observer(tmp_path, "run", code=code) as observer:
        observer.until("said")
        observer.signal(signal.SIGTERM)
        assert observer.wait() == 1
        assert observer.said() == ["up", "bye"]


def test_the_program_is_killed_with_the_observer(tmp_path: Path) -> None:
    with Observer(tmp_path, "run", code="import os, time; print(os.getpid()); time.sleep(600)") as observer:
        pid = int(observer.until("said")["text"])
        observer.kill()
        waiting = os.pidfd_open(pid) if alive(pid) else -1
        if waiting >= 0:
            assert select.select([waiting], [], [], 30)[0]
            os.close(waiting)


def test_descendants_are_found_whatever_their_name(tmp_path: Path) -> None:
    odd = tmp_path / "a) S 1 (b"
    odd.symlink_to(sys.executable)
    with Observer(tmp_path, "run", argv=[str(odd), "-c", "import time; print('up'); time.sleep(600)"]) as observer:
        observer.until("said")
        assert len(descendants(observer.process.pid)) == 1
