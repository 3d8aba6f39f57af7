"""``torrentnet init``: the first files of a project without scenarios.

The files include a first scenario and a test that runs it.
"""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torrentnet.lab.cli.output import print_json
from torrentnet.lab.errors import UsageError
from torrentnet.lab.paths import files_root
from torrentnet.runtime.process import EXIT_OK

if TYPE_CHECKING:
    from collections.abc import Mapping

SCENARIO: Final = "scenarios/first.yaml"
_SCHEMA: Final = "scenario.schema.json"
_FILES: Final = {
    SCENARIO: f"""\
# yaml-language-server: $schema={_SCHEMA}
about: A leecher gets a file from two seeders although one of them is killed on the way.
seed: 1
time_limit: 30s

files:
  myfile.txt: {{size: 4MiB}}

nodes:
  tracker: {{tracker: {{keepalive: 500ms, timeout: 2s}}}}
  seeder: {{share: myfile.txt, count: 2, upload: 8mbit}}
  leecher: {{get: myfile.txt, timeout: 3s}}

timeline:
  - {{when: leecher has 25% of myfile.txt, kill: seeder-1}}

expect:
  - {{node: leecher, has: myfile.txt, within: 25s}}
  - {{node: tracker, forgets: seeder-1, within: 3s, after: kill seeder-1}}
""",
    "test_first_scenario.py": f"""\
\"\"\"Run the first scenario in a lab of its own: `pytest` starts the nodes, and removes them at the end.\"\"\"

import pytest


@pytest.mark.torrentnet("{SCENARIO}")
def test_the_first_scenario_passes(torrentnet_lab):
    outcome = torrentnet_lab.play()
    assert outcome.verdict == "passed", [check.sentence for check in outcome.expectations if not check.passed]
""",
    ".gitignore": """\
# What labs leave: records of runs.
runs/
__pycache__/
.pytest_cache/
""",
}


def init(directory: Path, *, as_json: bool) -> int:
    """Write the first files of a project into ``directory``.

    Either all files are written or none. Raises UsageError.
    """
    files = {**_FILES, f"scenarios/{_SCHEMA}": (files_root() / "docs" / _SCHEMA).read_text(encoding="utf-8")}
    write_new(directory, files)
    if as_json:
        print_json({"directory": str(directory), "files": list(files)})
        return EXIT_OK
    for name in files:
        print(f"wrote {directory / name}")
    print("\nnext:")
    if directory != Path():
        print(f"  cd {shlex.quote(str(directory))}")
    for command, purpose in (
        (f"torrentnet run {SCENARIO}", "run it and judge it"),
        (f"torrentnet explain {SCENARIO}", "show what will happen, with every command"),
        ("pytest", "run it as a test"),
    ):
        print(f"  {command:<40} {purpose}")
    return EXIT_OK


def write_new(directory: Path, files: Mapping[str, str]) -> None:
    """Write files that do not exist yet, all of them or none.

    Raises UsageError where one exists, or where the directory cannot be written to.
    """
    if there := [name for name in files if (directory / name).exists()]:
        raise UsageError(
            f"{', '.join(str(directory / name) for name in there)}: exists already; nothing was written",
            hint="name a new directory: `torrentnet init lab`",
        )
    written: list[Path] = []
    try:
        for name, text in files.items():
            path = directory / name
            for folder in reversed(path.parents):
                if not folder.exists():
                    folder.mkdir()
                    written.append(folder)
            written.append(path)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        for path in reversed(written):
            with contextlib.suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        raise UsageError(
            f"{error.filename} cannot be written: {error.strerror}; nothing was left",
            hint="name a directory that you may write to: `torrentnet init DIRECTORY`",
        ) from error
