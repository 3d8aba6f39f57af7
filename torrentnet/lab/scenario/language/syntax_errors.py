"""Translation of PyYAML's errors: the place of the mistake, and what to write.

PyYAML reports where its parser could not go on, which is often a line below the mistake, and in the words of its
grammar.

Tested by tests/unit/lab/scenario/test_wrong.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import yaml

_NO_SPACE: Final = re.compile(r"(?P<dash>(?:-\s+)*)(?P<key>[A-Za-z_][\w-]*):(?P<value>[^\s:/].*)")
_DASH_WITHOUT_SPACE: Final = re.compile(r"\s*-[^\s-]")
_LAST_WORD: Final = re.compile(r"\s([\w-]+)$")
_LIST_EXAMPLE: Final = "each item of a list begins with `- `"


@dataclass(frozen=True, slots=True)
class SyntaxMistake:
    """A mistake in the notation; line and column count from 0."""

    line: int
    column: int
    text: str
    hint: str = ""


def missing_space(text: str) -> tuple[str, str] | None:
    """Return key and value of ``upload:20mbit``, or None for any other text."""
    match = _NO_SPACE.fullmatch(text.strip())
    return (match["key"], match["value"].strip()) if match and not match["dash"] else None


def explain_syntax_error(error: yaml.MarkedYAMLError, lines: list[str]) -> SyntaxMistake:
    """Return the mistake behind an error of PyYAML's parser."""
    mark, start = error.problem_mark or error.context_mark, error.context_mark
    problem = error.problem or ""
    line, column = (mark.line, mark.column) if mark else (0, 0)
    shown = lines[line] if line < len(lines) else ""
    if "\t" in shown[: column + 1] and not shown[:column].strip():
        return SyntaxMistake(line, shown.index("\t"), "the line is indented with a tab", "indent with spaces")
    if start is not None:
        opened = lines[start.line] if start.line < len(lines) else ""
        if error.context == "while scanning a quoted scalar":
            quote = opened[start.column : start.column + 1] or '"'
            if problem == "found unexpected end of stream":
                hint = f"add another `{quote}` at the end of the text"
                return SyntaxMistake(start.line, start.column, "the quote is not closed", hint)
        elif error.context == "while scanning a simple key":
            return _no_key(start.line, start.column, opened)
        elif error.context in {"while parsing a flow mapping", "while parsing a flow sequence"}:
            return _in_braces(start.line, start.column, opened, line, column, shown, problem)
        elif problem.startswith("expected <block end>"):
            return _wrong_indent(start.column, line, column, lines, error.context or "")
    if problem == "mapping values are not allowed here":
        return _second_colon(line, column, lines)
    if problem.endswith("that cannot start any token") or (error.context or "").startswith("while scanning an a"):
        place = (start.line, start.column) if start is not None and "token" not in problem else (line, column)
        char = lines[place[0]][place[1] : place[1] + 1]
        if char == "\t":
            return SyntaxMistake(*place, "there is a tab where only spaces may be", "write a space")
        hint = "for every node write `all`; else put the text in quotes" if char == "*" else "put the text in quotes"
        return SyntaxMistake(*place, f"a text cannot begin with `{char}`", hint)
    hint = error.context or ""
    if hint and start is not None:
        hint += f" of line {start.line + 1}"
    return SyntaxMistake(line, column, f"not YAML: {problem}", hint)


def _no_key(line: int, column: int, shown: str) -> SyntaxMistake:
    """Explain a line that is neither a key with a value nor an item."""
    rest = shown[column:].strip()
    if match := _NO_SPACE.fullmatch(rest):
        place = column + shown[column:].index(":")
        return SyntaxMistake(
            line, place, "there is no space after the colon", f"write `{match['key']}: {match['value'].strip()}`"
        )
    if _DASH_WITHOUT_SPACE.match(shown):
        return _no_space_after_dash(line, shown)
    if rest[:1] in {"{", "["}:
        return SyntaxMistake(line, column, "the item has no dash", _LIST_EXAMPLE)
    return SyntaxMistake(
        line, column, f"`{rest[:40]}` is neither a key with a value nor an item", f"write `key: value`; {_LIST_EXAMPLE}"
    )


def _no_space_after_dash(line: int, shown: str) -> SyntaxMistake:
    dash = shown.index("-")
    rest = shown[dash + 1 :].strip()
    return SyntaxMistake(line, dash, "there is no space after the dash", f"write `- {rest[:60]}`")


def _in_braces(
    start_line: int, start_column: int, opened: str, line: int, column: int, shown: str, problem: str
) -> SyntaxMistake:
    """Explain an error within ``{...}`` or ``[...]``."""
    opening = opened[start_column : start_column + 1]
    closing = "}" if opening == "{" else "]"
    if "${" in shown:
        hint = "inside `{}` and `[]` write a parameter without braces, `$name`, or put it in quotes"
        return SyntaxMistake(line, column, f"not YAML: {problem}", hint)
    if line != start_line or "<stream end>" in problem or "<document" in problem:
        return SyntaxMistake(start_line, start_column, f"the `{opening}` is not closed", f"add `{closing}`")
    found = shown[column : column + 1]
    if found in {"}", "]"} and found != closing:
        return SyntaxMistake(
            line, column, f"`{found}` closes what `{opening}` in column {start_column + 1} opens", f"write `{closing}`"
        )
    if found == ":" and (match := _LAST_WORD.search(shown[:column])):
        return _missing_comma(line, match)
    return SyntaxMistake(line, column, "a comma is missing before this", "separate keys and items by commas")


def _missing_comma(line: int, word: re.Match[str]) -> SyntaxMistake:
    text = f"a comma is missing before `{word[1]}`"
    return SyntaxMistake(line, word.start(1), text, "separate keys and items by commas")


def _wrong_indent(block_column: int, line: int, column: int, lines: list[str], context: str) -> SyntaxMistake:
    """Explain a line that belongs to no block."""
    shown = lines[line] if line < len(lines) else ""
    indent = len(shown) - len(shown.lstrip())
    if context == "while parsing a block collection" and indent == block_column and not shown.lstrip().startswith("-"):
        return SyntaxMistake(line, column, "the item has no dash", _LIST_EXAMPLE)
    if context == "while parsing a block mapping" and indent == block_column and shown.lstrip().startswith("- "):
        text = "there is an item of a list between keys"
        return SyntaxMistake(line, column, text, "indent it below its key, or remove the dash")
    if column != indent:
        return SyntaxMistake(line, column, "this does not belong to the value before", "write it on a line of its own")
    above = line - 1
    while above > 0 and (not lines[above].strip() or lines[above].lstrip().startswith("#")):
        above -= 1
    before = lines[above] if line else ""
    # The content of an item begins behind its dash.
    wanted = len(before) - len(before.lstrip(" -")) + 1
    return SyntaxMistake(
        line,
        column,
        "the line is indented like no line before it",
        f"begin it in column {wanted}, as line {above + 1} does, or in that of the block that it continues",
    )


def _second_colon(line: int, column: int, lines: list[str]) -> SyntaxMistake:
    """Explain a colon where there is a value already."""
    shown = lines[line]
    before = shown[:column]
    if _DASH_WITHOUT_SPACE.match(shown):
        return _no_space_after_dash(line, shown)
    key = before.lstrip().removeprefix("- ")
    if ":" not in key and line > 0:
        indent, above = (len(one) - len(one.lstrip()) for one in (before, lines[line - 1]))
        if indent <= above:
            return _no_key(line - 1, above, lines[line - 1])
        return SyntaxMistake(
            line,
            indent,
            "the line continues the value of the line before, because it is indented more",
            "indent it like its neighbours",
        )
    if "{" in before and (match := _LAST_WORD.search(before)):
        return _missing_comma(line, match)
    return SyntaxMistake(
        line,
        column,
        "the value contains a colon and a space",
        'put the text in quotes, as `about: "three seeders: one dies"`',
    )
