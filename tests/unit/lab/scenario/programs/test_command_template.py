"""Command lines of programs, and their placeholders."""

from __future__ import annotations

import pytest

from torrentnet.lab.scenario.language.scalars import InvalidValueError
from torrentnet.lab.scenario.programs.command_template import (
    PLACEHOLDERS,
    ROLE_PLACEHOLDERS,
    fill_command,
    placeholders_of,
    split_command,
)

VALUES = {
    "ip": "127.0.0.1",
    "port": "4000",
    "listen": "127.0.0.1:4000",
    "file": "a file; $(rm -rf /) \"'.txt",
    "tracker": "127.0.0.1:3000",
}


def test_placeholders_are_filled_inside_words_and_quotes() -> None:
    filled = fill_command("python3 'my tracker.py' {ip}:{port} --at={listen}", VALUES)
    assert filled == ("python3", "my tracker.py", "127.0.0.1:4000", "--at=127.0.0.1:4000")


@pytest.mark.parametrize("template", ["peer share {file} {tracker}", "peer share '{file}' {tracker}"])
def test_a_value_is_one_word_whatever_its_characters(template: str) -> None:
    assert fill_command(template, VALUES) == ("peer", "share", VALUES["file"], VALUES["tracker"])


def test_the_value_of_a_placeholder_is_not_filled_again() -> None:
    assert fill_command("get {file}", {"file": "{tracker}", "tracker": "x"}) == ("get", "{tracker}")


def test_arguments_take_the_place_of_their_placeholder_or_follow() -> None:
    assert fill_command("echo {args} {port}", VALUES, ("-v", "two words")) == ("echo", "-v", "two words", "4000")
    assert fill_command("echo {port}", VALUES, ("-v",)) == ("echo", "4000", "-v")
    assert fill_command("echo {args} {port}", VALUES) == ("echo", "4000")


def test_braces_that_are_no_placeholder_stay() -> None:
    assert split_command("awk '{ print }' {} {1}", "run") == ("awk", "{ print }", "{}", "{1}")
    assert fill_command("awk '{ print }' {} {1}", VALUES) == ("awk", "{ print }", "{}", "{1}")


def test_an_operator_of_a_shell_may_be_quoted() -> None:
    assert split_command("server '|' '2>&1'", "run") == ("server", "|", "2>&1")


def test_a_script_receives_values_as_arguments() -> None:
    command = """sh -c 'exec server "$1"' sh {port}"""
    assert fill_command(command, VALUES)[-1] == "4000"
    assert split_command(command, "run")[0] == "sh"


def test_placeholders_of_a_command_line() -> None:
    assert placeholders_of("get {file} {tracker} {unknown}") == {"file", "tracker"}
    assert {name for names in ROLE_PLACEHOLDERS.values() for name in names} == set(PLACEHOLDERS)


@pytest.mark.parametrize("text", ["", "  ", "get 'x", "get \0", "a " * 300])
def test_texts_that_are_no_command_line(text: str) -> None:
    with pytest.raises(InvalidValueError):
        split_command(text, "get")
