"""Script that runs shell scripts in the network namespaces of many processes.

Python in the helper container executes this file's text.

Standard input is a JSON object: name to ``[pid, script]``. Standard output is a JSON object: name to
``[exit status, standard output, standard error]``. See :mod:`torrentnet.lab.engines.docker.batch_exec`.

Tested by tests/integration/test_network_calibration.py.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Final

MAX_PARALLEL: Final = 4
"""Scripts wait for the kernel a part of their time; more at once would only wait for its locks."""
TIMEOUT: Final = 10


def run(pid: int, script: str) -> tuple[int, str, str]:
    """Run a script in the network namespace of a process."""
    argv = ["nsenter", "--target", str(pid), "--net", "sh", "-s"]
    try:
        done = subprocess.run(
            argv, input=script, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return 124, "", f"it did not end within {TIMEOUT} s"
    return done.returncode, done.stdout, done.stderr


def main() -> None:
    """Read the jobs, run them, and print their results."""
    jobs = json.load(sys.stdin)
    with ThreadPoolExecutor(MAX_PARALLEL) as pool:
        results = pool.map(lambda name: run(*jobs[name]), jobs)
        json.dump(dict(zip(jobs, results, strict=True)), sys.stdout)


if __name__ == "__main__":
    main()
