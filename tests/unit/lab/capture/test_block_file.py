"""The file of a capture."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from torrentnet.lab.capture.block_file import open_given, open_new
from torrentnet.lab.capture.pcapng import MAGIC
from torrentnet.lab.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def test_captures_of_a_record_never_replace_each_other(tmp_path: Path) -> None:
    for expected in ("capture.pcapng", "capture-2.pcapng"):
        file = open_new(tmp_path / "record")
        file.write(b"1234")
        file.close()
        assert file.name == str(tmp_path / "record" / expected)
        assert (tmp_path / "record" / expected).read_bytes() == b"1234"


def test_a_named_file_is_replaced_only_if_it_is_a_capture(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    for content in (b"", MAGIC + b"old"):
        path.write_bytes(content)
        file = open_given(path)
        file.write(b"new")
        file.close()
        assert path.read_bytes() == b"new"
    path.write_bytes(b"a thesis")
    with pytest.raises(UsageError) as caught:
        open_given(path)
    assert caught.value.message == f"{path} exists and is no capture, so that it is not overwritten"
    assert path.read_bytes() == b"a thesis"


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from torrentnet.lab.capture.block_file import open_given
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
file = open_given(Path(sys.argv[1]))
try:
    while True:
        file.write(b"x" * 300)
except OSError as error:
    print(error.errno)
"""


def test_a_full_disk_leaves_whole_blocks(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) == errno.EFBIG
    assert path.stat().st_size == 900


def test_a_pipe_without_a_reader_is_an_error(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    file = open_given(fifo)
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        file.write(b"1234")
    file.close()
