"""Commands: look-up, help, completion, streamed answers, and every error message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from torrentnet.console.commands import MAX_COMPLETIONS, Command, CommandError, Commands

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = ("myfile.txt", "my other file.txt", "zebra")


def file_logs(args: list[str]) -> Iterator[str]:
    if not args:
        raise CommandError("file_logs needs a file's name, or -all", status=2)
    if args[0] not in FILES:
        raise CommandError(f'no file named "{args[0]}" was ever published here')
    yield f"{args[0]}: 8 MiB"


def broken(_: list[str]) -> Iterator[str]:
    yield "a line"
    raise KeyError("piece")


class Node:
    """Some commands, and their output."""

    def __init__(self) -> None:
        self.quits = 0
        self.seen: list[str] = []
        self.commands = Commands("tracker", on_quit=self.quit)
        self.commands.add(
            Command(
                ("request", "logs"),
                "request logs [--last N]",
                "what was asked, and how it ended",
                lambda args: [f"logs {args}"],
                details="--last N  only the last N requests\n\nExample: request logs --last 5",
            )
        )
        self.commands.add(
            Command(("file_logs",), "file_logs -all | NAME", "a file", file_logs, lambda *_: ("-all", *FILES))
        )
        self.commands.add(Command(("broken",), "broken", "fails inside", broken))

    def quit(self) -> None:
        self.quits += 1

    def do(self, line: str | list[str], *, outside: bool = False) -> tuple[int, list[str], list[str]]:
        out: list[str] = []
        err: list[str] = []
        status = self.commands.execute(line, out.append, err.append, outside=outside)
        return status, out, err


@pytest.fixture
def node() -> Node:
    return Node()


def test_a_line_or_words_reach_the_command(node: Node) -> None:
    assert node.do("request logs --last 5") == (0, ["logs ['--last', '5']"], [])
    assert node.do(["file_logs", "my other file.txt"]) == (0, ["my other file.txt: 8 MiB"], [])
    assert node.do("file_logs 'my other file.txt'") == (0, ["my other file.txt: 8 MiB"], [])
    assert node.do("  ") == (0, [], [])


UNKNOWN = "x" * 100


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("file_logs nope.txt", 1, 'error: no file named "nope.txt" was ever published here'),
        ("file_logs \x1b[2J", 1, 'error: no file named "\\u001b[2J" was ever published here'),
        ("file_logs", 2, "error: file_logs needs a file's name, or -all"),
        ("reqest logs", 2, 'error: unknown command "reqest logs": did you mean "request logs"?'),
        ("filelogs a", 2, 'error: unknown command "filelogs a": did you mean "file_logs"?'),
        ("flie_logs my file", 2, 'error: unknown command "flie_logs my file": did you mean "file_logs"?'),
        ("request lgos --last 5", 2, 'error: unknown command "request lgos --last 5": did you mean "request logs"?'),
        ("12345", 2, 'error: unknown command "12345": type help for the list'),
        (UNKNOWN, 2, f'error: unknown command "{UNKNOWN[:59]}…": type help for the list'),
        ("request", 2, 'error: "request" is not complete: type "request logs"'),
        ("quit now", 2, 'error: quit takes no arguments: "now"'),
        ("help nothing", 2, 'error: unknown command "nothing": type help for the list'),
        ("file_logs 'a", 2, "error: a quote is not closed: \"file_logs 'a\""),
        ("file_logs a\\", 2, 'error: the line ends in a backslash: "file_logs a\\"'),
    ],
)  # fmt: skip
def test_messages(node: Node, line: str, status: int, message: str) -> None:
    assert node.do(line) == (status, [], [message])


def test_a_bug_in_a_command_does_not_end_the_node(node: Node) -> None:
    assert node.do("broken") == (1, ["a line"], ["error: internal error of the command: KeyError: 'piece'"])


def test_an_answer_cannot_act_on_the_terminal() -> None:
    commands = Commands("tracker").add(Command(("x",), "x", "x", lambda _: ["\x1b]0;title\a"]))
    out: list[str] = []
    commands.execute("x", out.append, out.append)
    assert out == ["\\u001b]0;title\\u0007"]


def test_an_answer_is_sent_while_it_is_made_until_its_reader_ends() -> None:
    made: list[int] = []
    closed: list[bool] = []

    def numbers(_: list[str]) -> Iterator[str]:
        try:
            for number in range(1_000_000):
                made.append(number)
                yield str(number)
        finally:
            closed.append(True)

    def out(line: str) -> None:
        if line == "3":
            raise BrokenPipeError

    commands = Commands("tracker").add(Command(("n",), "n", "n", numbers))
    with pytest.raises(BrokenPipeError):
        commands.execute("n", out, out)
    assert (made, closed) == ([0, 1, 2, 3], [True])


def test_help(node: Node) -> None:
    assert node.do("help") == (
        0,
        [
            "request logs [--last N]  what was asked, and how it ended",
            "file_logs -all | NAME    a file",
            "broken                   fails inside",
            "help [WORDS]             list the commands, or explain one",
            "quit                     end this tracker",
        ],
        [],
    )
    about = [
        "request logs [--last N]",
        "  what was asked, and how it ended",
        "  --last N  only the last N requests",
        "",
        "  Example: request logs --last 5",
    ]
    for line in ("help request logs", "help request", "request logs --help", "request --help", "request logs -h"):
        assert node.do(line) == (0, about, [])


def test_quit_is_refused_over_the_socket(node: Node) -> None:
    status, out, err = node.do("quit", outside=True)
    assert (status, out, node.quits) == (2, [], 0)
    said = "error: quit works only in the tracker's own terminal; from here, stop the tracker's process or container"
    assert err == [said]
    assert (
        node.do("help", outside=True)[1][-1] == "quit                     leave this console; the tracker keeps running"
    )
    assert node.do("quit") == (0, [], [])
    assert node.quits == 1


def test_without_a_way_to_quit_there_is_no_quit() -> None:
    out: list[str] = []
    commands = Commands("tracker")
    assert commands.execute("quit", out.append, out.append) == 2
    assert commands.complete("q") == []


def test_two_commands_cannot_have_the_same_words(node: Node) -> None:
    for words in (("file_logs",), ("help",), ("quit",)):
        with pytest.raises(ValueError, match="exists already"):
            node.commands.add(Command(words, "", "", file_logs))


@pytest.mark.parametrize(
    ("text", "candidates"),
    [
        ("", ["broken", "file_logs", "help", "quit", "request"]),
        ("re", ["request"]),
        ("request ", ["logs"]),
        ("request logs ", []),
        ("file_logs ", ["-all", "my other file.txt", "myfile.txt", "zebra"]),
        ("file_logs my", ["my other file.txt", "myfile.txt"]),
        ("file_logs 'my o", ["my other file.txt"]),
        ("help re", ["request"]),
        ("help request ", ["logs"]),
        ("help file_logs ", []),
        ("nonsense ", []),
    ],
)
def test_completion(node: Node, text: str, candidates: list[str]) -> None:
    assert node.commands.complete(text) == candidates


def test_completion_is_bounded_and_survives_a_bug() -> None:
    def fails(_: list[str], __: str) -> Iterator[str]:
        yield "a"
        raise OSError

    commands = Commands("tracker")
    commands.add(Command(("many",), "", "", file_logs, lambda *_: (f"{n}" for n in range(10**9))))
    commands.add(Command(("fails",), "", "", file_logs, fails))
    assert len(commands.complete("many ")) == MAX_COMPLETIONS
    assert commands.complete("fails ") == []
