"""What ``make`` hands to programs, with a stub for the environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 120
TORRENTNET = """\
#!/bin/sh
echo "in $(pwd -P)"
for word; do printf '<%s>\\n' "$word"; done
"""
PYTHON = f"""\
#!/bin/sh
# A Python whose environments have a torrentnet that prints its words.
case $*" " in
"-m venv "*)
    mkdir -p "$3/bin"
    echo "made" >&2
    cp "$0" "$3/bin/python"
    echo "#!$(pwd -P)/$3/bin/python" >"$3/bin/pip"
    cp "$STUB" "$3/bin/torrentnet"
    ;;
"-m pip "*) echo "pip PIP_USER=$PIP_USER PIP_TARGET=$PIP_TARGET" >&2 ;;
*) exec "{sys.executable}" "$@" ;;
esac
"""
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without an environment."""
    return make_checkout(tmp_path)


def make_checkout(tmp_path: Path) -> Path:
    """Make a checkout with a stub for a Python, in a directory with a difficult name."""
    directory = tmp_path / "it's a checkout"
    (directory / "scripts").mkdir(parents=True)
    (directory / "scenarios").mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "scripts/call.py"):
        shutil.copy(ROOT / name, directory / name)
    (directory / "scenarios/first.yaml").touch()
    for name, text in (("python", PYTHON), ("torrentnet", TORRENTNET)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return directory


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose environment is made, for tests that leave it as it is."""
    directory = make_checkout(tmp_path_factory.mktemp("made"))
    make(directory, "status")
    return directory


def make(checkout: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run make in a checkout as a user does."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PIP_"))}
    return subprocess.run(
        ["make", f"PYTHON={checkout.parent}/python", *words],
        cwd=checkout,
        env={**kept, "STUB": str(checkout.parent / "torrentnet"), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
        stdin=subprocess.DEVNULL,
    )


def given(checkout: Path, *words: str) -> list[str]:
    """The words that torrentnet gets from a call of make."""
    done = make(checkout, *words)
    assert done.returncode == 0, done.stderr
    return [line[1:-1] for line in done.stdout.splitlines() if line.startswith("<")]


HOSTILE = [
    "x'; touch pwned; '",
    'x"; touch pwned; "',
    "x; touch pwned",
    "$(shell touch pwned)",
    "$$(touch pwned)",
    "$(touch pwned)",
    "`touch pwned`",
    "x | touch pwned",
    "two words",
    "-x",
    "a\\b",
    "ünï",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_is_never_code(made: Path, value: str) -> None:
    words = given(made, "sweep", f"scenario={value}", f"engine={value}", f"repeat={value}")
    assert words == ["sweep", value, "--repeat", value, "--engine", value]
    assert not (made / "pwned").exists()


@pytest.mark.parametrize(("target", "words"), [("attach", ["attach"]), ("logs", ["logs", "--follow"])])
def test_a_nodes_name_is_never_code(made: Path, target: str, words: list[str]) -> None:
    assert given(made, target, f"node={HOSTILE[0]}") == [*words, HOSTILE[0]]
    assert not (made / "pwned").exists()


@pytest.mark.parametrize("value", [*HOSTILE, "x'", 'x"'])
def test_a_list_of_values_is_never_code(made: Path, value: str) -> None:
    done = make(made, "sweep", "scenario=x", *(f"{name}={value}" for name in ("set", "grid", "args")))
    assert not (made / "pwned").exists()
    assert done.returncode == 0 or "no closing quotation" in done.stderr


def test_lists_are_split_as_a_shell_does(made: Path) -> None:
    assert given(made, "up", "scenario=x", "set=a=1 b='two words'") == [
        "up",
        "x",
        "--set",
        "a=1",
        "--set",
        "b=two words",
    ]
    assert given(made, "sweep", "scenario=x", "grid=n=1,2 s=a,b") == [
        "sweep",
        "x",
        "--grid",
        "n=1,2",
        "--grid",
        "s=a,b",
    ]
    assert given(made, "run", "scenario=x", "args=--runs '/x/it is' *") == ["run", "x", "--runs", "/x/it is", "*"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("up three_seeders", "up three_seeders"),
        ("up three_seeders engine=local", "up three_seeders --engine local"),
        ("run scenarios/first.yaml", "run scenarios/first.yaml"),
        ("attach leecher-1", "attach leecher-1"),
        ("logs leecher-1", "logs --follow leecher-1"),
        ("explain three_seeders", "explain three_seeders"),
        ("validate scenarios/first.yaml other.yaml", "validate scenarios/first.yaml other.yaml"),
        ("validate scenario=scenarios/first.yaml", "validate scenarios/first.yaml"),
        ("status", "status"),
    ],
)
def test_a_word_behind_a_target_is_its_value(made: Path, words: str, expected: str) -> None:
    assert given(made, *words.split()) == expected.split()
    # Nothing but the program speaks.
    again = make(made, *words.split())
    assert "make" not in again.stdout.replace(str(made), "") and again.stderr == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["up"], "which scenario? make up scenario=three_seeders; `make scenarios` lists them"),
        (["attach"], "which node? make attach node=tracker; `make status` lists them"),
        (["validate"], "which file? make validate scenario=scenarios/first.yaml"),
        (["up", "a", "b"], "`b` is too much here; name other values by their variable: `make help` shows them"),
        (["up", "scenario=x", "set='a"], "set='a: no closing quotation"),
    ],
)
def test_what_is_missing_is_asked_for(made: Path, words: list[str], message: str) -> None:
    done = make(made, *words)
    assert done.returncode == 2
    first, last = done.stderr.splitlines()
    assert first == message
    assert last.startswith("make: *** [") and last.endswith("] Error 2")


def test_a_target_that_does_not_exist_is_still_an_error(made: Path) -> None:
    done = make(made, "upp")
    assert done.returncode == 2
    assert "No rule to make target 'upp'" in done.stderr


def test_pip_ignores_a_users_settings_for_other_installs(checkout: Path) -> None:
    done = make(checkout, "status", PIP_USER="1", PIP_TARGET="/nonexistent")
    assert "pip PIP_USER=0 PIP_TARGET=\n" in done.stderr


def test_pip_accepts_a_config_file_with_user_true(tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[install]\nuser = true\n")
    install = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--no-deps", "pip"]
    environ = {**os.environ, "PIP_CONFIG_FILE": str(config)}
    for user, works in (("1", False), ("0", True)):
        done = subprocess.run(
            install, env={**environ, "PIP_USER": user}, capture_output=True, text=True, check=False, timeout=TIMEOUT
        )
        assert (done.returncode == 0) == works, done.stderr


def test_an_environment_is_made_once(checkout: Path) -> None:
    assert "made" in make(checkout, "status").stderr
    assert make(checkout, "status").stderr == ""


@pytest.mark.parametrize("how", ["copied", "moved"])
def test_a_checkout_elsewhere_gets_an_environment_of_its_own(checkout: Path, how: str) -> None:
    make(checkout, "status")
    there = checkout.parent / "there"
    if how == "copied":
        shutil.copytree(checkout, there, symlinks=True)
    else:
        checkout.rename(there)
    done = make(there, "status")
    assert "made" in done.stderr
    assert f"in {there}\n" in done.stdout
    assert make(there, "status").stderr == ""
    if how == "copied":
        assert make(checkout, "status").stderr == ""


def test_an_environment_whose_python_is_gone_is_made_again(checkout: Path) -> None:
    make(checkout, "status")
    (checkout / ".venv/bin/python").unlink()
    (checkout / ".venv/bin/python").symlink_to("/nonexistent/python3.11")
    assert "made" in make(checkout, "status").stderr


def test_a_shell_knows_the_command(made: Path) -> None:
    shell = made.parent / "shell"
    shell.write_text("#!/bin/sh\nexec torrentnet --version\n")
    shell.chmod(0o755)
    done = make(made, "shell", SHELL=str(shell))
    assert "<--version>" in done.stdout, done.stderr


def test_a_checkout_that_may_not_be_written_says_so(checkout: Path) -> None:
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        if shutil.which("setpriv") is None:
            pytest.skip("needs setpriv")
        for folder in (checkout, checkout.parent, checkout.parent.parent, checkout.parent.parent.parent):
            folder.chmod(0o755)
    else:
        command = []
        checkout.chmod(0o555)
    done = subprocess.run(
        [*command, "make", "status"], cwd=checkout, capture_output=True, text=True, check=False, timeout=TIMEOUT
    )
    assert done.returncode == 2
    assert done.stderr.startswith("this directory may not be written by you: copy it to one of yours")
