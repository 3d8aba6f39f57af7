"""Output that cannot be written ends no program and changes no exit status."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from torrentnet.runtime.standard_streams import GuardedStream

if TYPE_CHECKING:
    from pathlib import Path

GUARDED = """
import os, sys
from torrentnet.runtime.standard_streams import guarded_streams
with guarded_streams():
    for number in range(20):
        print(number, "Übung")
os.write(1, b"a child\\n")
sys.exit(5)
"""
UNREAD = """
import os, sys, threading
from torrentnet.runtime.standard_streams import guarded_streams
reading, writing = os.pipe()
os.dup2(writing, 1)
with guarded_streams():
    thread = threading.Thread(target=print, args=("x" * 1_000_000,), daemon=True)
    thread.start()
    os.read(reading, 1)
sys.exit(5)
"""
NULL = """
import os, sys
from torrentnet.runtime.standard_streams import open_standard_streams
open_standard_streams()
print("lost"); print("lost", file=sys.stderr)
assert os.open("/", os.O_RDONLY) == 3
sys.exit(5)
"""


def run(code: str, shell: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$0" -c "$1" {shell}', sys.executable, code],
        capture_output=True,
        env={**os.environ, **environment},
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("shell", ["| true", "| head -1", ">&-", ">&- 2>&-", "> /dev/full 2> /dev/full"])
def test_a_stream_that_fails_is_silent(shell: str) -> None:
    done = run(GUARDED, shell)
    assert (done.returncode, done.stderr) == (5, b"")


def test_a_full_disk_is_told_in_one_line() -> None:
    done = run(GUARDED, "> /dev/full")
    assert (done.returncode, done.stderr) == (5, b"standard output cannot be written: No space left on device\n")


def test_the_end_does_not_wait_for_a_reader_that_does_not_read() -> None:
    assert run(UNREAD, "").returncode == 5


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-5"])
def test_characters_that_the_encoding_lacks_are_escaped(encoding: str) -> None:
    done = run(GUARDED, "", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (5, b"")
    assert done.stdout.startswith(b"0 \\xdcbung\n1 ")


def test_what_the_locale_has_is_written_in_it() -> None:
    assert run(GUARDED, "", PYTHONIOENCODING="latin-1").stdout.startswith(b"0 \xdcbung\n")


@pytest.mark.parametrize("shell", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_no_file_gets_the_number_of_a_closed_stream(shell: str) -> None:
    assert run(NULL, shell).returncode == 5


def test_a_descriptor_that_does_not_block_is_waited_for() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with os.fdopen(writing, "w") as stream, subprocess.Popen(["wc", "-c"], stdin=reading, stdout=subprocess.PIPE) as wc:
        os.close(reading)
        GuardedStream(stream).write("x" * 10**6 + "\n")
        stream.close()
        assert wc.stdout is not None
        assert int(wc.stdout.read()) == 10**6 + 1


def test_a_stream_without_a_descriptor_is_written_to(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    stream = GuardedStream(sys.stdout)
    stream.write("no end")
    stream.flush()
    assert capsys.readouterr().out == "no end"
    with (tmp_path / "file").open("w", encoding="utf-8") as file:
        assert not GuardedStream(file).isatty()


STUCK = """
import sys
from torrentnet.runtime import standard_streams
standard_streams.ERROR_PATIENCE = 0.1
with standard_streams.guarded_streams():
    print("x" * 100_000, file=sys.stderr)
    print("more", file=sys.stderr)
    print("the result")
sys.exit(5)
"""


def test_standard_error_that_nobody_reads_keeps_nobody() -> None:
    reading, writing = os.pipe()
    try:
        done = subprocess.run(
            [sys.executable, "-c", STUCK], stdout=subprocess.PIPE, stderr=writing, timeout=60, check=False
        )
    finally:
        os.close(reading)
        os.close(writing)
    assert (done.returncode, done.stdout) == (5, b"the result\n")


def test_standard_error_that_is_read_slowly_is_complete() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STUCK.replace("0.1", "30")], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        data = b""
        while piece := os.read(process.stderr.fileno(), 1000):
            data += piece
    assert data == b"x" * 100_000 + b"\nmore\n"
