"""The observer's command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from torrentnet.adapters.observer.__main__ import _parser, close_directory, main, parse_settings
from torrentnet.adapters.observer.settings import ObserverSettings, WantedFile
from torrentnet.wire.endpoint import Endpoint

SHA256 = "ab" * 32


def settings(*words: str) -> ObserverSettings:
    return parse_settings(_parser().parse_args([*words]), ["python3", "peer.py"])[0]


def test_all_that_the_lab_tells_is_understood() -> None:
    words = "get --name a --listen 127.0.0.1:6881 --tracker 127.0.0.1:6771 --dir /data --program /program --files tmp"
    more = f"--file x --size 14 --sha256 {SHA256} --ready 3.5 --user 10001:10002 --datagrams --max-output 99"
    more += " --torrent /files/x.torrent"
    lists = ["--says", "request logs=all logs", "--node", "a=198.18.0.5:6881", "--node", "b=198.18.0.6:6882"]
    assert settings(*words.split(), *more.split(), *lists) == ObserverSettings(
        role="get",
        name="a",
        argv=("python3", "peer.py"),
        directory=Path("/data"),
        listen=Endpoint("127.0.0.1", 6881),
        tracker=Endpoint("127.0.0.1", 6771),
        program=Path("/program"),
        files="tmp",
        torrent=Path("/files/x.torrent"),
        wanted=WantedFile("x", 14, SHA256),
        ready=3.5,
        user=(10001, 10002),
        says=(("request logs", "all logs"),),
        nodes=(("a", Endpoint("198.18.0.5", 6881)), ("b", Endpoint("198.18.0.6", 6882))),
        datagrams=True,
        max_output=99,
    )


def test_a_nodes_own_address_is_that_of_the_network() -> None:
    assert settings("run", "--name", "a", "--listen", "127.0.0.1:1", "--node", "a=198.18.0.5:1").address == "198.18.0.5"
    assert settings("run", "--name", "a", "--listen", "127.0.0.1:1").address == "127.0.0.1"
    assert settings("run", "--name", "a").address == ""


def test_the_consoles_directory_is_closed_to_the_program(tmp_path: Path) -> None:
    console, data = tmp_path / "console", tmp_path / "data"
    console.mkdir(mode=0o755)
    tmp_path.chmod(0o755)
    close_directory(console, data)
    close_directory(tmp_path, data)
    close_directory(tmp_path / "absent", data)
    assert (console.stat().st_mode & 0o777, tmp_path.stat().st_mode & 0o777) == (0o700, 0o755)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["eat", "--name", "a"], "argument role: invalid choice: 'eat'"),
        (["get"], "the following arguments are required: --name"),
        (["get", "--name", "a", "--listen", "x"], "argument --listen: `x` is not HOST:PORT"),
        (["get", "--name", "a", "--node", "x"], "argument --node: `x` is not NAME=IP:PORT"),
        (["get", "--name", "a", "--says", "x"], 'argument --says: `x` is not "COMMAND=ITS OWN WORDS"'),
        (["get", "--name", "a", "--user", "root"], "argument --user: `root` is not UID:GID; write numbers"),
        (["get", "--name", "a", "--sha256", "xyz"], "argument --sha256: `xyz` is not a SHA-256"),
        (["get", "--name", "a", "--ready", "soon"], "argument --ready: `soon` is not a number of seconds"),
        (["get", "--name", "a"], "the program's command line is missing: write it after `--`"),
    ],
)
def test_a_wrong_command_line_is_explained(words: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert f"observe: error: {error}" in capsys.readouterr().err


def test_half_a_file_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "--name", "a", "--file", "x", "--", "true"]) == 1
    assert capsys.readouterr().err == "observe: error: --file, --size and --sha256 belong together\n"
