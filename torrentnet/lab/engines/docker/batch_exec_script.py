"""Runs scripts in the network namespaces of many processes. This file's text is run by Python in the helper container.

Standard input is a JSON object: name to ``[pid, script]``. Standard output is a JSON object: name to
``[exit status, standard output, standard error]``. See :mod:`torrentnet.lab.engines.docker.batch_exec`.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

PARALLEL = 4
"""Scripts spend a part of their time waiting for the kernel; more at once only wait for its locks."""
TIMEOUT = 10


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
    work = json.load(sys.stdin)
    with ThreadPoolExecutor(PARALLEL) as pool:
        results = pool.map(lambda name: run(*work[name]), work)
        json.dump(dict(zip(work, results, strict=True)), sys.stdout)


if __name__ == "__main__":
    main()
