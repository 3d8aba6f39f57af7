"""Programs that start as a fork of the supervisor.

Such a fork behaves like a newly started Python.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from torrentnet.lab.engines.local.supervisor.preload import COMMANDS, PYTHON_OPTIONS, write_commands

ROOT = Path(__file__).resolve().parents[6]
SUPERVISOR = """
import os, sys
from pathlib import Path
from torrentnet.lab.engines.local.supervisor.preload import preload_programs
from torrentnet.lab.engines.local.supervisor.spawner import ProcessSpec, Spawner
from torrentnet.lab.engines.local.supervisor.sandbox_root import Sandbox
root, count, *argv = sys.argv[1:]
loaded = preload_programs(Path(root))
spawner = Spawner()
for _ in range(int(count)):
    program = ProcessSpec(argv, {"PATH": f"{root}/bin", "MINE": "own"}, (0, 1, 2), preloaded=loaded.get(argv[0]))
    status = os.waitstatus_to_exitcode(os.waitpid(spawner.start_node(program, Sandbox(root)), 0)[1])
    print("status", status, flush=True)
"""
"""Does what a supervisor does, with the programs of another checkout."""
PEER = COMMANDS["peer.py"][0]
END_S = 30.0


def run(root: Path, program: str, *words: str, count: int = 1, stdin: str = "") -> tuple[list[int], str, str]:
    """Run a text as the program peer.py, ``count`` times.

    Return the exit statuses, the output and the errors.
    """
    file = root / PEER
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(program, encoding="utf-8")
    (root / "torrentnet" / "console").mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, *PYTHON_OPTIONS, "-c", SUPERVISOR, str(root), str(count), "peer.py", *words],
        env={"PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=END_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines(keepends=True)
    statuses = [int(line.removeprefix("status ")) for line in lines if line.startswith("status ")]
    return statuses, "".join(line for line in lines if not line.startswith("status ")), done.stderr


MAIN = 'if __name__ == "__main__":\n    '
ENDS = {
    "falls off its end": f"{MAIN}print('end')",
    "a status": f"import sys\n{MAIN}sys.exit(7)",
    "a status of more than a byte": f"import sys\n{MAIN}sys.exit(256 + 3)",
    "no status": f"import sys\n{MAIN}sys.exit()",
    "a text": f"import sys\n{MAIN}sys.exit('why')",
    "an error": f"def fail():\n    raise ValueError('no')\n{MAIN}fail()",
    "interrupted": f"import os, signal\n{MAIN}os.kill(os.getpid(), signal.SIGINT)",
    "terminated": f"import os, signal\n{MAIN}os.kill(os.getpid(), signal.SIGTERM)",
    "a thread that goes on": (
        f"import threading, time\n{MAIN}threading.Timer(0.1, lambda: print('later')).start(); print('sooner')"
    ),
    "work for the end": f"import atexit, sys\n{MAIN}atexit.register(print, 'last'); sys.exit(4)",
    "a pipe that nobody reads": f"import os\n{MAIN}r, w = os.pipe(); os.close(r); os.write(w, b'x')",
    "wrong words": f"if True\n{MAIN}pass",
    "an import that fails": f"import no_such_module\n{MAIN}pass",
}


@pytest.mark.parametrize("program", ENDS.values(), ids=ENDS)
def test_a_program_exits_as_under_python(program: str, tmp_path: Path) -> None:
    write_commands(tmp_path / "bin", tmp_path)
    (tmp_path / "bin" / "sh").symlink_to("/bin/sh")
    statuses, out, err = run(tmp_path, program)
    plain = subprocess.run(
        [sys.executable, *PYTHON_OPTIONS, str(tmp_path / PEER)],
        env={"LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        timeout=END_S,
        check=False,
    )
    assert (statuses, out, err) == ([plain.returncode], plain.stdout, plain.stderr)


SHOW = f"""
import json, os, random, signal, sys
{MAIN}print(json.dumps([
        sys.argv,
        dict(os.environ),
        os.getcwd(),
        [sorted(os.listdir("/proc/self/fd"), key=int)[:3], len(os.listdir("/proc/self/fd"))],
        open("/proc/self/cmdline").read().replace(chr(0), " ").strip(),
        open("/proc/self/comm").read().strip(),
        [int(signal.getsignal(number)) for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGPIPE)],
        sys.stdin.read(),
        os.getpid() == os.getsid(0),
    ]))
"""


def test_a_program_has_its_own_arguments_and_environment(tmp_path: Path) -> None:
    _, out, err = run(tmp_path, SHOW, "share", "two words", stdin="typed\n")
    assert not err
    argv, environment, where, descriptors, title, name, signals, typed, leads = json.loads(out)
    assert argv == [str(tmp_path / PEER), "share", "two words"]
    assert environment == {"PATH": f"{tmp_path}/bin", "MINE": "own"}
    assert where == str(tmp_path)
    # The fourth is that of the listing itself.
    assert descriptors == [["0", "1", "2"], 4]
    assert title == "peer.py share two words"
    assert name == "peer.py"
    assert signals == [signal.SIG_DFL, signal.SIG_DFL, signal.SIG_IGN]
    assert typed == "typed\n"
    assert leads


def test_a_long_command_line_is_shown_as_far_as_it_fits(tmp_path: Path) -> None:
    words = [f"word-{number}" for number in range(400)]
    program = f"{MAIN}print(open('/proc/self/cmdline', 'rb').read().decode())"
    _, out, _ = run(tmp_path, program, *words)
    shown = out.rstrip("\n").rstrip("\0").replace("\0", " ")
    assert len(shown) > 200
    assert " ".join(["peer.py", *words]).startswith(shown)


def test_no_two_forks_share_their_randomness(tmp_path: Path) -> None:
    program = f"import random\n{MAIN}print(random.random(), random.Random().random())"
    _, out, _ = run(tmp_path, program, count=3)
    assert len(set(out.split())) == 6


def test_a_program_has_no_privilege(tmp_path: Path) -> None:
    program = f"{MAIN}print(open('/proc/self/status').read())"
    _, out, _ = run(tmp_path, program)
    fields = dict(line.split(":\t", 1) for line in out.splitlines() if ":\t" in line)
    assert fields["NoNewPrivs"] == "1"
    # Only root's programs have any capabilities, and these only let them read files.
    allowed = 0b110 if os.getuid() == 0 else 0
    for which in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(fields[which], 16) & ~allowed == 0, which


def test_the_launchers_run_the_same_files(tmp_path: Path) -> None:
    write_commands(tmp_path / "bin", ROOT)
    for command, (_, *words) in COMMANDS.items():
        answer = subprocess.run(
            [tmp_path / "bin" / command, *(["--ping"] if words else ["--help"])],
            env={"PYTHONPATH": str(ROOT), "PATH": os.defpath},
            capture_output=True,
            text=True,
            timeout=END_S,
            check=False,
        )
        if words:
            assert answer.returncode == 2
            assert "no console socket: give" in answer.stderr
        else:
            assert (answer.returncode, answer.stderr) == (0, "")
            assert answer.stdout.startswith(f"usage: {command} ")
