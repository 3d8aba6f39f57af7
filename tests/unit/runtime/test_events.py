"""Event lines: their exact form, and round trips of any value.

Neither the writer nor the parser ever fails.
"""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torrentnet.runtime.events import (
    LEVELS,
    MAX_FIELDS,
    MAX_VALUE_CHARS,
    Event,
    EventLog,
    format_event,
    format_field,
    format_timestamp,
    parse_event,
)

NOON = 1_795_434_551.123  # 2026-11-23T11:49:11.123Z


def test_the_form_of_a_line() -> None:
    fields = {"peer": "seeder-2", "address": "198.18.0.4:6881", "among": 3}
    assert format_event(NOON, "picked", fields) == (
        "2026-11-23T11:49:11.123Z picked peer=seeder-2 address=198.18.0.4:6881 among=3"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("my file.txt", '"my file.txt"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("a=b", '"a=b"'),
        ("back\\slash", "back\\slash"),
        ("Ünïcode-文件", "Ünïcode-文件"),
        ("wide\u3000blank", '"wide\\u3000blank"'),
        ("line\nbreak", '"line\\nbreak"'),
        ("\x1b[2J", '"\\u001b[2J"'),
        ("\x9b2J", '"\\u009b2J"'),
        ("right\u202eto left", '"right\\u202eto left"'),
        ("\U000e0041 tag", '"\\udb40\\udc41 tag"'),
        (True, "true"),
        (False, "false"),
        (1_000_000, "1000000"),
        (1.5, "1.5"),
        (2.0, "2"),
        (1e-07, "0.0000001"),
        (1e22, "10000000000000000000000"),
    ],
)
def test_the_form_of_a_value(value: object, text: str) -> None:
    line = format_event(0, "e", {"k": value})
    assert line == f"1970-01-01T00:00:00.000Z e k={text}"
    parsed = parse_event(line)
    assert parsed is not None
    assert line.isprintable()
    if isinstance(value, str):
        assert parsed.fields == {"k": value}


def test_a_field_without_value_is_left_out_and_keywords_can_be_used() -> None:
    lines: list[str] = []
    EventLog(lines.append, clock=lambda: 0).emit("outcome", from_="seeder-1", reason=None)
    assert lines == ["1970-01-01T00:00:00.000Z outcome from=seeder-1"]


def test_a_value_of_any_length_is_a_bounded_line() -> None:
    parsed = parse_event(format_event(0, "e", {"k": "x" * 1_000_000}))
    assert parsed is not None
    assert parsed.fields["k"] == "x" * (MAX_VALUE_CHARS - 1) + "…"


@pytest.mark.parametrize(
    ("event", "fields", "message"),
    [
        ("Picked", {}, "'Picked' is not an event's name: small letters and underscores only"),
        ("e", {"a b": 1}, "'a b' is not a field's name: small letters, digits and underscores only"),
    ],
)
def test_names_of_the_wrong_form_are_the_callers_bug(event: str, fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        format_event(0, event, fields)


def test_a_time_beyond_the_calendar_is_refused() -> None:
    with pytest.raises(ValueError, match="is beyond the year 9999"):
        format_event(1e300, "e", {})


keys = st.from_regex(r"[a-z_][a-z0-9_]{0,8}[a-z]", fullmatch=True)
texts = st.text(max_size=50) | st.text(alphabet=' "=\\\n\t\x1b\x00aé文\u202e\U0001f600\ue000', max_size=50)


@given(
    st.integers(0, 4_000_000_000_000),
    st.from_regex(r"[a-z_]{1,12}", fullmatch=True),
    st.dictionaries(keys, texts, max_size=5),
)
def test_what_is_formatted_is_parsed(milliseconds: int, event: str, fields: dict[str, str]) -> None:
    line = format_event(milliseconds / 1000, event, fields)
    assert line.isprintable()
    parsed = parse_event(line)
    assert parsed is not None
    assert (round(parsed.time * 1000), parsed.name, parsed.fields) == (milliseconds, event, fields)
    assert parse_event(line + "\r\n") == parsed


@given(st.text(max_size=80) | st.text(max_size=20).map(lambda text: "2026-11-23T12:29:11.123Z e k=" + text))
def test_garbage_is_plain_text_or_an_event(line: str) -> None:
    parsed = parse_event(line)
    assert parsed is None or parsed.name


TIME = "2026-11-23T12:29:11.123Z"


def test_an_event_is_read_by_its_fields() -> None:
    event = parse_event(f"{TIME} picked peer=seeder-2 address=198.18.0.4:6881 among=3", node="leecher-1", arrived=5.0)
    assert event is not None
    assert (event.node, event.time, event.name) == ("leecher-1", 5.0, "picked")
    assert event.fields == {"peer": "seeder-2", "address": "198.18.0.4:6881", "among": "3"}
    assert event.number("among") == 3
    assert event.number("peer") is None
    assert event.number("nothing") is None
    assert event.matches(peer="seeder-2", among="3")
    assert not event.matches(peer="seeder-1")


def test_values_of_other_programs_are_read_liberally() -> None:
    event = parse_event(TIME + r' failed File="two words.bin" reason="he said \"no\" = é\n" empty=')
    assert event is not None
    assert event.fields == {"File": "two words.bin", "reason": 'he said "no" = é\n', "empty": ""}


def test_an_event_may_have_no_fields() -> None:
    event = parse_event(f"{TIME} tracker_silent")
    assert event is not None
    assert event.fields == {}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Traceback (most recent call last):",
        "picked peer=seeder-2",
        TIME,
        f"{TIME} ",
        f" {TIME} picked peer=x",
        f"{TIME} Picked peer=x",
        f"{TIME} picked peer",
        f"{TIME} picked  peer=a",
        f"{TIME} picked peer=a b",
        f"{TIME} picked =x",
        f'{TIME} picked peer="a',
        f'{TIME} picked peer="a"b',
        f'{TIME} picked peer="\\x"',
        f'{TIME} picked peer="\\q"',
        f"{TIME} {'e' * 65}",
        "2026-13-23T12:29:11.123Z picked",
        "2026-11-23T12:29:11Z picked",
        "2026-11-23 12:29:11 picked peer=x",
        TIME + " picked " + " ".join(f"k{index}=1" for index in range(MAX_FIELDS + 1)),
    ],
)
def test_any_other_line_is_not_an_event(line: str) -> None:
    assert parse_event(line) is None


@given(st.text())
def test_no_text_makes_the_parser_fail(text: str) -> None:
    parse_event(text, arrived=0.0)
    parse_event(f"{TIME} picked {text}", arrived=0.0)


def test_levels() -> None:
    lines: list[str] = []
    for level in LEVELS:
        log = EventLog(lines.append, clock=lambda: 0, level=level)
        for emit in (log.emit, log.warning, log.error):
            emit(level)
    assert [line.split()[1] for line in lines] == ["info"] * 3 + ["warning"] * 2 + ["error"]


@pytest.mark.parametrize("at_once", [False, True])
def test_lines_made_elsewhere_are_events_at_level_info(at_once: bool) -> None:
    lines: list[str] = []
    made = [f"{format_timestamp(1.5)} outcome peer={format_field(peer)}" for peer in ("leecher-1", 'a "b"', "x" * 70)]
    for level in ("info", "warning"):
        log = EventLog(lines.append, level=level, write_all=lines.extend if at_once else None)
        log.emit_lines(made)
    assert lines == made
    assert [parse_event(line) for line in lines] == [
        Event("outcome", 1.5, {"peer": peer}) for peer in ("leecher-1", 'a "b"', "x" * 70)
    ]


def test_lines_that_nobody_reads_are_counted() -> None:
    def write(_: object) -> None:
        raise BrokenPipeError

    log = EventLog(write, write_all=write)
    log.emit_lines(["a", "b"])
    assert log.lost == 2


def test_an_unknown_level_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="loud") as caught:
        EventLog(print, level="loud")
    assert str(caught.value) == "'loud' is not a log level: the levels are info, warning, error"


@pytest.mark.parametrize("error", [BrokenPipeError, OSError, ValueError])
def test_a_failed_write_is_counted(error: type[Exception]) -> None:
    def write(_: str) -> None:
        raise error

    log = EventLog(write)
    log.emit("picked")
    log.emit("picked")
    assert log.lost == 2


def test_emitting_while_emitting_does_not_hang() -> None:
    # As a signal handler does, which runs inside a call of the main thread.
    lines: list[str] = []

    def write(line: str) -> None:
        if not lines:
            lines.append("")
            log.emit("inner")
        lines.append(line)

    log = EventLog(write, clock=lambda: 0)
    log.emit("outer")
    assert [line.split()[1] for line in lines[1:]] == ["inner", "outer"]


def test_threads_do_not_tear_lines() -> None:
    lines: list[str] = []
    log = EventLog(lines.append)

    def emit() -> None:
        for number in range(200):
            log.emit("e", n=number)

    threads = [threading.Thread(target=emit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    parsed = [parse_event(line) for line in lines]
    assert len(parsed) == 800
    assert all(parsed)


@pytest.mark.parametrize("half", [r"\ud800", r"\udfff\ud800", r"x\udc00y"])
def test_half_a_surrogate_pair_is_escaped(half: str) -> None:
    # JSON can hold it; no file, terminal or socket takes it.
    parsed = parse_event(f'2026-11-23T12:29:11.123Z xx a="{half}"')
    assert parsed is not None
    assert parsed.fields["a"] == half
    assert parsed.fields["a"].encode()
