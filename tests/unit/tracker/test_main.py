"""The tracker's command line.

Each mistake is reported in one line, with the documented exit status.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from torrentnet.tracker.main import TrackerOptions, main, parse_options
from torrentnet.tracker.server import bind
from torrentnet.tracker.settings import TrackerSettings
from torrentnet.wire.errors import LocalError
from torrentnet.wire.info import make_info
from torrentnet.wire.metainfo import torrent_with_url

if TYPE_CHECKING:
    from pathlib import Path

HELP = " (try tracker.py --help)"


@pytest.fixture(autouse=True)
def _no_console(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORRENTNET_CONSOLE", raising=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: IP:PORT"),
        (["127.0.0.1"], "argument IP:PORT: `127.0.0.1` is not HOST:PORT; write for example `127.0.0.1:6771`"),
        ([":6771"], "argument IP:PORT: `:6771` is not HOST:PORT; write for example `127.0.0.1:6771`"),
        (["127.0.0.1:"], "argument IP:PORT: `127.0.0.1:` is not HOST:PORT; write for example `127.0.0.1:6771`"),
        (["127.0.0.1:http"], "argument IP:PORT: `http` is not a port; write a number from 0 to 65535"),
        (["127.0.0.1:65536"], "argument IP:PORT: `65536` is not a port; write a number from 0 to 65535"),
        (
            ["::"],
            "argument IP:PORT: `::` looks like IPv6, which is not supported; write an IPv4 address: `127.0.0.1:6771`",
        ),
        (
            ["a:1", "--keepalive", "5"],
            (
                "argument --keepalive: `5` has no unit; write `5s` or `5ms`;"
                " the units of a duration are `ms`, `s`, `m`, `h`"
            ),
        ),
        (["a:1", "--keepalive", "10ms"], "--keepalive 10ms is too short: at least 50ms"),
        (
            ["a:1", "--timeout", "soon"],
            "argument --timeout: `soon` is not a duration; write a number and a unit, such as `5s` or `500ms`",
        ),
        (
            ["a:1", "--keepalive", "5s", "--timeout", "5s"],
            "--timeout 5s must be longer than --keepalive 5s; three times as long works best",
        ),
        (["a:1", "--timeout", "25h"], "--timeout 25h is too long: at most 24h"),
        (["a:1", "--name", "a b"], "argument --name: peer name 'a b' holds a blank"),
        (["a:1", "--seed", "x"], "argument --seed: 'x' is not a whole number"),
        (
            ["a:1", "--log-level", "loud"],
            "argument --log-level: invalid choice: 'loud' (choose from info, warning, error)",
        ),
        (
            ["a:1", "--torrent", "/no/such.torrent"],
            "argument --torrent: /no/such.torrent cannot be read: no such file or directory",
        ),
        (
            ["a:1", "--torrent", "/dev/null"],
            "argument --torrent: /dev/null: not a .torrent file: value ends too early",
        ),
        (["a:1", "--what"], "unrecognized arguments: --what"),
    ],
)
def test_wrong_command_line_prints_one_line_and_exits_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    # Python 3.11 quotes the choices, later versions do not.
    text = re.sub(r"choose from .*\)", lambda found: found[0].replace("'", ""), capsys.readouterr().err, count=1)
    assert text.split(HELP)[0] == f"tracker.py: error: {message}"
    assert text.count("\n") == 1


def test_defaults_and_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_options(["127.0.0.1:6771"]) == TrackerOptions(
        "127.0.0.1", 6771, TrackerSettings(5.0, 15.0), "tracker", None, None, None, "info"
    )
    monkeypatch.setenv("TORRENTNET_CONSOLE", "/run/from.environment")
    words = f"localhost:0 --keepalive 500ms --timeout 2s --name t --state {tmp_path} --seed 7 --log-level warning"
    options = parse_options(words.split())
    assert (options.host, options.port, options.settings) == ("localhost", 0, TrackerSettings(0.5, 2.0))
    assert (options.name, options.state, options.seed, options.log_level) == ("t", tmp_path, 7, "warning")
    assert str(options.console) == "/run/from.environment"
    assert str(parse_options(["a:1", "--console", "/tmp/c"]).console) == "/tmp/c"


def test_torrents_are_read(tmp_path: Path) -> None:
    infos = tuple(make_info(name, 5, 16384, bytes(20)) for name in ("a", "b"))
    words = ["127.0.0.1:0"]
    for info in infos:
        (tmp_path / info.name).write_bytes(torrent_with_url(info, None))
        words += ["--torrent", str(tmp_path / info.name)]
    assert parse_options(words).torrents == infos


def test_help_names_units_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for words in ("500ms, 2s, 1m (default 5s)", "expires (default 15s)", "(default tracker)", "any free port"):
        assert words in text


def test_address_in_use_exits_1(capsys: pytest.CaptureFixture[str]) -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert main([f"127.0.0.1:{port}"]) == 1
    assert capsys.readouterr().err == (
        f"tracker.py: error: cannot listen on 127.0.0.1:{port}: address already in use"
        " (another program listens there; choose another port, or 0 for any free one)\n"
    )


def test_address_of_another_machine_exits_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["192.0.2.1:6771"]) == 1
    assert capsys.readouterr().err == (
        "tracker.py: error: cannot listen on 192.0.2.1:6771: cannot assign requested address"
        " (this machine does not have that address)\n"
    )


def test_unknown_host_is_an_error() -> None:
    with pytest.raises(LocalError) as caught:
        bind("no such host", 6771)
    assert caught.value.message == "no IPv4 address is known for 'no such host'"
    assert caught.value.hint == "check the spelling, or give the address"


def test_bad_state_directory_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "file"
    state.write_text("")
    assert main(["127.0.0.1:0", "--state", str(state)]) == 1
    assert capsys.readouterr().err == (
        f"tracker.py: error: cannot keep the journal in {state}: File exists (give --state another directory)\n"
    )


def test_bad_console_path_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    assert main(["127.0.0.1:0", "--console", str(path)]) == 1
    assert capsys.readouterr().err.startswith("tracker.py: error: ")
    assert path.read_text() == "mine"
