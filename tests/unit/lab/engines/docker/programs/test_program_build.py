"""The steps before a program can run: what they accept, and how they fail."""

from __future__ import annotations

import pytest

from torrentnet.lab.engines.child_process import ChildResult
from torrentnet.lab.engines.docker.programs.program_build import failed, requirements
from torrentnet.lab.errors import EngineError

WHAT = "the install step of the program mine"


def test_packages_are_named_with_versions() -> None:
    text = """\
# what it needs
requests
bencode.py==4.0.0   # pinned
uvloop >=0.17, <1 ; python_version < "3.14"
httpx[http2,socks] ~= 0.27

"""
    assert requirements(text, WHAT) == [
        "requests",
        "bencode.py==4.0.0",
        'uvloop >=0.17, <1 ; python_version < "3.14"',
        "httpx[http2,socks] ~= 0.27",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "--index-url http://127.0.0.1/simple",
        "-r other.txt",
        "-e .",
        ".",
        "./package",
        "/etc",
        "git+https://127.0.0.1/x.git",
        "x @ file:///etc",
        "x ; y @ z",
        "http://127.0.0.1/x.tar.gz",
        "package \\",
        "x --global-option=y",
    ],
)
def test_anything_but_a_name_is_refused(line: str) -> None:
    with pytest.raises(EngineError) as caught:
        requirements(f"requests\n{line}\n", WHAT)
    assert caught.value.message == (
        f"the install step of the program mine: line 2 is not a package's name with a version: {line!r}"
    )
    assert caught.value.hint == "only wheels by name are installed: no options, addresses, paths or files"


def test_a_list_without_end_is_refused() -> None:
    with pytest.raises(EngineError, match="101 packages; at most 100 are installed"):
        requirements("x\n" * 101, WHAT)


def test_a_step_that_fails_says_what_it_printed_last() -> None:
    error = failed(
        "the build of the program mine", ChildResult(2, "", ("javac Peer.java", "", "Peer.java:3: error", "1 error"))
    )
    assert error.message == (
        "the build of the program mine failed with status 2: javac Peer.java; Peer.java:3: error; 1 error"
    )
    assert error.hint == "try the command by hand in the program's folder"


def test_a_step_that_does_not_end_says_its_limit() -> None:
    late = failed("the build of the program mine", ChildResult(0, "", (), timed_out=True))
    assert late.message == "the build of the program mine did not end within 120 s: it printed nothing"


def test_a_dockerfile_that_fails_says_what_its_step_printed() -> None:
    printed = (
        "#5 [2/2] RUN make",
        "#5 0.214 cc peer.c",
        "#5 0.301 peer.c:1: error",
        "#5 ERROR: process did not complete",
        "---",
    )
    error = failed("the Dockerfile of the program mine", ChildResult(1, "", printed))
    assert error.message == "the Dockerfile of the program mine failed with status 1: cc peer.c; peer.c:1: error"


def test_warnings_of_pip_are_no_cause() -> None:
    error = failed(
        WHAT, ChildResult(1, "", ("WARNING: old", "ERROR: No matching distribution found for x", "WARNING: y"))
    )
    assert error.message.endswith("failed with status 1: ERROR: No matching distribution found for x")
