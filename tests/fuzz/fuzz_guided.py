"""Fuzzer of every decoder, guided by coverage (atheris, libFuzzer).

``run(seconds, seed, corpus)`` has libFuzzer search for inputs that reach new branches of torrentnet.wire. The first
byte of an input chooses the decoder. It begins with the inputs of ``corpus``, a line of hex digits each. Without
atheris (``make fuzz`` installs it where there is a wheel), the result says so and has no inputs.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.fuzz.common import FuzzResult

ROOT: Final = Path(__file__).parents[2]
MAX_BYTES: Final = 1_600
MAX_MEMORY_MIB: Final = 1_024
_DONE: Final = re.compile(r"Done (\d+) runs")
_COVERAGE: Final = re.compile(r"cov: (\d+)")
_CORPUS: Final = re.compile(r"corp: (\d+)")


def run(seconds: float, seed: int, corpus: Path) -> FuzzResult:
    """Fuzz for some seconds."""
    if importlib.util.find_spec("atheris") is None:
        return FuzzResult(0, note="atheris is not installed: the other fuzzers' inputs are not guided by coverage")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder, "corpus")
        work.mkdir()
        for number, data in enumerate(_stored(corpus)):
            (work / str(number)).write_bytes(data)
        options = (
            f"-max_total_time={max(1, int(seconds))}",
            f"-seed={seed or 1}",
            f"-max_len={MAX_BYTES}",
            f"-rss_limit_mb={MAX_MEMORY_MIB}",
            "-timeout=10",
            f"-artifact_prefix={folder}/",
        )
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.fuzz_guided", *options, str(work)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds + 300,
        )
        inputs = sum(int(found) for found in _DONE.findall(done.stderr))
        failures: list[str] = []
        if done.returncode:
            kept = [path for path in Path(folder).iterdir() if path.is_file()]
            corpus.mkdir(parents=True, exist_ok=True)
            names = ", ".join(str(shutil.copy(path, corpus)) for path in kept)
            failures.append(f"{done.stderr.strip().splitlines()[-1][:200]}: {names}")
        reached, kept_inputs = _last(_COVERAGE, done.stderr), _last(_CORPUS, done.stderr)
    return FuzzResult(inputs, tuple(failures), note=f"guided: {reached} branches, {kept_inputs} inputs that reach them")


def _stored(corpus: Path) -> list[bytes]:
    """Return the stored inputs, from lines of hex digits and crash files."""
    lines = [line for path in sorted(corpus.glob("*.hex")) for line in path.read_text("ascii").splitlines()]
    return [*map(bytes.fromhex, lines), *(path.read_bytes() for path in sorted(corpus.glob("crash-*")))]


def _last(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.findall(text)
    return str(found[-1]) if found else "?"


def _main() -> None:
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["torrentnet.wire", "torrentnet.runtime.events"]):
        from tests.fuzz.fuzz_decoders import TARGETS

    def one_input(data: bytes) -> None:
        if data:
            target = TARGETS[data[0] % len(TARGETS)]
            with contextlib.suppress(target.error):
                target.parse(data[1:])

    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    _main()
