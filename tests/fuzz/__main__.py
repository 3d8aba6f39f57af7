"""Run all fuzzers, or some: ``python -m tests.fuzz [--minutes N] [--only WHAT]``.

Each ``fuzz_WHAT.py`` has ``run(seconds, seed, corpus)``, and runs in a process of its own. Its stored inputs are in
``corpus/WHAT``. The exit status is 1 if an input broke a rule; that input is then stored there, too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
CORPUS: Final = HERE / "corpus"


def fuzzers() -> list[str]:
    """Return the names of all fuzzers."""
    return sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.py"))


def run_one(what: str, seconds: float, seed: int) -> dict[str, Any]:
    """Run one fuzzer in a process of its own; a hang is one of its failures."""
    command = [sys.executable, "-m", "tests.fuzz", "--child", what, "--minutes", str(seconds / 60), "--seed", str(seed)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False, timeout=2 * seconds + 300
        )
    except subprocess.TimeoutExpired:
        return {"inputs": 0, "failures": ["hang: the fuzzer did not end"]}
    if done.returncode:
        return {"inputs": 0, "failures": [f"the fuzzer ended with {done.returncode}"]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    """Run the fuzzers and print a line for each."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--minutes", type=float, default=1.0, help="for all fuzzers together (default: 1)")
    parser.add_argument("--only", default="", help=f"fuzzers, separated by blanks: {', '.join(fuzzers())}")
    parser.add_argument("--seed", type=int, default=1, help="another seed makes other inputs (default: 1)")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        module = import_module(f"tests.fuzz.fuzz_{options.child}")
        result = module.run(options.minutes * 60, options.seed, CORPUS / options.child)
        keys = ("inputs", "failures", "slowest", "growth", "note")
        print(json.dumps({key: getattr(result, key) for key in keys if hasattr(result, key)}))
        return 0
    chosen = options.only.split() or fuzzers()
    unknown = set(chosen) - set(fuzzers())
    if unknown:
        parser.error(f"no fuzzer is named {', '.join(sorted(unknown))}; there are {', '.join(fuzzers())}")
    inputs = failed = 0
    for what in chosen:
        result = run_one(what, options.minutes * 60 / len(chosen), options.seed)
        inputs += result["inputs"]
        failed += len(result["failures"])
        growth, slowest = result.get("growth", 0) / 2**20, result.get("slowest", 0.0)
        figures = f"{result['inputs']:>12,} inputs  slowest {slowest:7.3f} s  growth {growth:6.1f} MiB"
        print(f"{what:<20}{figures}  {result.get('note', '')}".rstrip(), flush=True)
        for failure in result["failures"]:
            print(f"  FAILED {failure}", flush=True)
    print(f"{inputs:,} inputs, {failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
