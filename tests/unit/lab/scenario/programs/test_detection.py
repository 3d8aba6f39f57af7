"""How the program in a folder is found. Every error is a golden text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.lab import golden
from torrentnet.lab.errors import LabError
from torrentnet.lab.scenario.programs.detection import Detected, detect

if TYPE_CHECKING:
    from pathlib import Path


def make(root: Path, *names: str, **content: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.get("text", ""))
    return root


def commands(found: Detected) -> dict[str, str]:
    return {role: command for role in ("tracker", "share", "get", "run") if (command := getattr(found.manifest, role))}


PYTHON = {
    "tracker": "python3 tracker.py {ip}:{port}",
    "share": "python3 peer.py share {file} {tracker} {listen}",
    "get": "python3 peer.py get {file} {tracker} {listen}",
}


@pytest.mark.parametrize("place", [".", "submission", "a/b/c"])
def test_the_assignments_programs_are_found(place: str, tmp_path: Path) -> None:
    found = detect(make(tmp_path, f"{place}/tracker.py", f"{place}/peer.py", "README.md"), "mine")
    assert commands(found) == PYTHON
    assert found.folder == tmp_path / place


def test_names_may_have_capitals_and_spaces(tmp_path: Path) -> None:
    found = detect(make(tmp_path, "my work/Tracker.PY", "my work/Peer.py"), "mine")
    assert commands(found)["tracker"] == "python3 Tracker.PY {ip}:{port}"
    assert found.reason == "`Tracker.PY` and `Peer.py` in `my work`"


@pytest.mark.parametrize(
    ("end", "runner"),
    [(".js", "node "), (".rb", "ruby "), (".pl", "perl "), (".sh", "sh "), (".jar", "java -jar ")],
)
def test_other_languages(end: str, runner: str, tmp_path: Path) -> None:
    found = detect(make(tmp_path, f"tracker{end}", f"peer{end}"), "mine")
    assert commands(found)["get"] == f"{runner}peer{end} get {{file}} {{tracker}} {{listen}}"


def test_a_compiled_program_runs_by_itself(tmp_path: Path) -> None:
    make(tmp_path, "tracker", "peer.out", "tracker.c", "peer.c", "tracker.o")
    for name in ("tracker", "peer.out"):
        (tmp_path / name).chmod(0o755)
    assert commands(detect(tmp_path, "mine"))["share"] == "./peer.out share {file} {tracker} {listen}"
    assert commands(detect(tmp_path, "mine"))["tracker"] == "./tracker {ip}:{port}"


def test_requirements_above_decide_where_it_runs(tmp_path: Path) -> None:
    found = detect(make(tmp_path, "requirements.txt", "src/tracker.py", "src/peer.py"), "mine")
    assert found.folder == tmp_path
    assert found.manifest.install == "requirements.txt"
    assert commands(found)["tracker"] == "python3 src/tracker.py {ip}:{port}"


def test_a_dockerfile_is_the_image(tmp_path: Path) -> None:
    found = detect(make(tmp_path, "Dockerfile", "src/tracker.py", "src/peer.py"), "mine")
    assert (found.folder, found.dockerfile) == (tmp_path, "Dockerfile")
    assert commands(found)["tracker"] == "python3 src/tracker.py {ip}:{port}"


def test_torrentnet_yaml_comes_first(tmp_path: Path) -> None:
    make(tmp_path, "work/tracker.py", "work/peer.py", "old/tracker.py", "old/peer.py")
    make(tmp_path, "work/torrentnet.yaml", text="tracker: python3 tracker.py --at {listen}\nsays: {peers: list}\n")
    found = detect(tmp_path, "mine")
    assert found.folder == tmp_path / "work"
    assert commands(found) == {"tracker": "python3 tracker.py --at {listen}"}
    assert found.manifest.says == (("peers", "list"),)


def test_torrentnet_yaml_without_commands_is_completed(tmp_path: Path) -> None:
    make(tmp_path, "tracker.py", "peer.py")
    make(tmp_path, "torrentnet.yaml", text="files: tmp\n")
    found = detect(tmp_path, "mine")
    assert commands(found) == PYTHON
    assert found.manifest.files == "tmp"


def test_only_the_tracker_is_needed_in_its_place(tmp_path: Path) -> None:
    found = detect(make(tmp_path, "tracker.py"), "mine", ("tracker",))
    assert commands(found) == {"tracker": PYTHON["tracker"]}


def test_a_folder_with_both_goes_before_one_with_half(tmp_path: Path) -> None:
    found = detect(make(tmp_path, "tests/tracker.py", "src/tracker.py", "src/peer.py"), "mine", ("tracker",))
    assert found.folder == tmp_path / "src"


def test_commands_from_elsewhere_need_nothing(tmp_path: Path) -> None:
    found = detect(make(tmp_path, "wrapper/echo.py", "wrapper/lib.py"), "mine", commanded=True)
    assert found.folder == tmp_path / "wrapper"
    assert commands(found) == {}


WRONG = {
    "nothing": (),
    "no program": ("main.py", "README.md", "a/b/c/d/tracker.py"),
    "many files": tuple(f"{number}.py" for number in range(20)),
    "half": ("src/tracker.py", "notes.txt"),
    "two folders": ("server/tracker.py", "client/peer.py"),
    "two candidates": ("new/tracker.py", "new/peer.py", "old/tracker.py", "old/peer.py"),
    "two languages": ("tracker.py", "tracker.js", "peer.py"),
    "two descriptions": ("a/torrentnet.yaml", "b/torrentnet.yaml"),
    "an image only": ("Dockerfile", "main.go"),
    "too deep": ("a/b/c/d/tracker.py", "a/b/c/d/peer.py"),
    "not executable": ("tracker", "peer"),
}


def test_what_is_not_found_is_said_with_what_is_there(tmp_path: Path) -> None:
    lines = []
    for name, files in WRONG.items():
        root = make(tmp_path / name, *files)
        root.mkdir(exist_ok=True)
        with pytest.raises(LabError) as caught:
            detect(root, "mine.zip")
        assert caught.value.exit_code == 2
        lines += [f"# {name}", caught.value.message, f"    {caught.value.hint}", ""]
    golden.check("programs_not_found.txt", "\n".join(lines))


def test_an_error_of_torrentnet_yaml_comes_with_its_line(tmp_path: Path) -> None:
    make(tmp_path, "torrentnet.yaml", text="tracker: python3 tracker.py {prot}\n")
    with pytest.raises(LabError) as caught:
        detect(tmp_path, "mine.zip")
    assert caught.value.message.startswith("mine.zip/torrentnet.yaml:1:10: tracker: unknown placeholder `{prot}`\n")
