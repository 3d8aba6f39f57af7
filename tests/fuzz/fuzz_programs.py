"""Fuzzer of archives, ``torrentnet.yaml`` and command lines of strangers.

``run(seconds, seed, corpus)`` mutates small archives and files, and the files of ``corpus``. Any bytes are unpacked
within the limits and below their folder, or refused with a message of one printable line; a command line is split and
filled word by word, or refused.
"""

from __future__ import annotations

import io
import random
import shutil
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Final

from tests.fuzz.common import MAX_GROWTH, MAX_SECONDS, FuzzResult, keep, mutate, peak_size, read_corpus
from torrentnet.lab.errors import LabError
from torrentnet.lab.scenario.language.scalars import InvalidValueError
from torrentnet.lab.scenario.programs.archive import is_archive, unpack
from torrentnet.lab.scenario.programs.command_template import ROLE_PLACEHOLDERS, fill_command, split_command
from torrentnet.lab.scenario.programs.detection import detect
from torrentnet.lab.scenario.programs.files import MAX_BYTES

WARM_UP: Final = 300
"""Inputs before the process's size is taken."""
MANIFEST: Final = b"""\
install: requirements.txt
files: tmp
ready: 5s
tracker: python3 'src/tracker.py' {ip}:{port}
share: sh -c 'exec "$1"' sh {file} {tracker} {listen}
run: server {args}
says: {request logs: all logs}
"""
CONTENT: Final = {"a/tracker.py": b"print()", "a/peer.py": b"import socket\n" * 20, "a/torrentnet.yaml": MANIFEST}
VALUE: Final = "a value; with 'quotes'"


def _zip() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in CONTENT.items():
            archive.writestr(name, data)
    return made.getvalue()


def _tar(mode: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in CONTENT.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()


SAMPLES: Final = (_zip(), _tar("w"), _tar("w:gz"), _tar("w:bz2"), _tar("w:xz"), MANIFEST)


def run(seconds: float, seed: int, corpus: Path) -> FuzzResult:
    """Try inputs for that long, those of the corpus first."""
    chance = random.Random(seed)
    pool = [*SAMPLES, *read_corpus(corpus)]
    first, inputs, accepted, slowest, size = list(pool), 0, 0, 0.0, 0
    failures: list[str] = []
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        while first or time.monotonic() < end:
            data = first.pop() if first else mutate(chance, chance.choice(pool), pool)
            began = time.monotonic()
            wrong, good = try_input(data, Path(folder))
            took = time.monotonic() - began
            inputs, accepted, slowest = inputs + 1, accepted + good, max(slowest, took)
            if inputs == WARM_UP:
                size = peak_size()
            if took > MAX_SECONDS:
                wrong = wrong or f"took {took:.1f} s"
            if size and peak_size() - size > MAX_GROWTH + 2 * MAX_BYTES:
                wrong, size = wrong or "the process grew", peak_size()
            if wrong:
                failures.append(f"{wrong}: {keep(corpus, 'program', data)}")
    return FuzzResult(inputs, tuple(failures), slowest, peak_size() - size if size else 0, f"{accepted} accepted")


def try_input(data: bytes, folder: Path) -> tuple[str, bool]:
    """Return which rule an input breaks, or nothing, and whether it was accepted."""
    target, path = folder / "target", folder / "input"
    target.mkdir()
    path.write_bytes(data)
    try:
        if is_archive(path):
            unpack(path, "input", target)
        else:
            (target / "torrentnet.yaml").write_bytes(data)
        found = detect(target, "input")
        for role in ROLE_PLACEHOLDERS:
            if command := getattr(found.manifest, role):
                _check_command(command, role)
    except LabError as error:
        printable = all(char.isprintable() or char == "\n" for char in error.message)
        return ("" if printable and error.exit_code == 2 else f"message: {error.message!r}"[:200]), False
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200], False
    else:
        return "", True
    finally:
        outside = [found for found in folder.iterdir() if found not in {target, path}]
        size = sum(found.lstat().st_size for found in target.rglob("*") if found.is_file())
        links = [found for found in target.rglob("*") if found.is_symlink()]
        shutil.rmtree(target)
        if outside or links or size > MAX_BYTES:
            raise AssertionError(f"{outside} {links} {size}")


def _check_command(command: str, role: str) -> None:
    try:
        words = split_command(command, role)
    except InvalidValueError:
        return
    filled = fill_command(command, dict.fromkeys(ROLE_PLACEHOLDERS[role], VALUE))
    if len(filled) != len([word for word in words if word != "{args}"]):
        raise ValueError(f"a value became more than a word: {filled}")
