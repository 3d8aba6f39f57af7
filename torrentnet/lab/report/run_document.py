"""A run as one document, read from its record.

report.html and the live page draw it. A record may be of an older version, or that of a lab that was killed: what it
lacks is null or empty.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from torrentnet.lab.errors import UsageError
from torrentnet.lab.paths import scenarios_folder
from torrentnet.lab.report.distribution_bounds import uplink_caps
from torrentnet.lab.report.document_builder import UNKNOWN, DocumentBuilder
from torrentnet.lab.report.document_faults import index_pairs
from torrentnet.lab.report.record_values import (
    Document,
    epoch_seconds,
    listed,
    milliseconds,
    object_of,
    objects,
    parse_json,
    read_object,
)
from torrentnet.runtime.units import UnitError, parse_rate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RESULT_FILE: Final = "result.json"
PLAN_FILE: Final = "plan.json"
EVENTS_FILE: Final = "events.jsonl"
NODES_FILE: Final = "nodes.json"
LOGS_FOLDER: Final = "logs"
MAX_ROW_CHARS: Final = 1_000_000
NOT_ENDED: Final = "the record has no result: the lab was killed, or is still running"
ROLES: Final = frozenset({"tracker", "share", "get", "program"})
_NUMBERED: Final = re.compile(r"(.+)-\d+")
_STAMP: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})Z ")
PROGRESS_LINE: Final = re.compile(r"\S+Z progress ")
"""A line of a log whose contents the document has as pieces."""


def run_document(record: Path) -> Document:
    """Return the document of a run's record, with plain columns.

    Raises UsageError for a directory that is no record, and OSError.
    """
    header = record_header(record)
    builder = DocumentBuilder(header)
    zero = None
    for row in read_rows(record):
        if row.get("event") == "zero" and row.get("node") == "lab":
            zero = _stamp_ms(str(row.get("time"))[:-1])
        builder.add(row)
    builder.end_early()
    for node in header["nodes"]:
        add_log(builder, node["name"], record, zero)
    return builder.document()


def record_header(record: Path) -> Document:
    """Return the document's parts that no event tells.

    The record may have no result yet.     Raises UsageError for a directory that is no record.
    """
    result, plan = read_object(record / RESULT_FILE), read_object(record / PLAN_FILE)
    if not result and not plan and not (record / EVENTS_FILE).is_file():
        raise UsageError(
            f"{record} has no {RESULT_FILE}, {PLAN_FILE} or {EVENTS_FILE}: it is no record of a run",
            hint="name a directory below runs/, or a scenario whose last run is wanted",
        )
    nodes = _nodes(record, plan, result)
    files = _files(plan, result, nodes)
    index = {node["name"]: place for place, node in enumerate(nodes)}
    links = [
        {
            "text": str(link.get("text", "")),
            "pairs": index_pairs(link.get("pairs"), index),
            "qualities": object_of(link.get("qualities")),
        }
        for link in objects(plan.get("links"))
    ]
    return {
        "run": _run(record, plan, result),
        "files": files,
        "nodes": nodes,
        "caps": uplink_caps(links, _own_rates(plan, index)),
        "links": links,
        "expectations": list(_expectations(plan, result, index)),
    }


def _own_rates(plan: Mapping[str, Any], index: Mapping[str, int]) -> dict[int, float]:
    """Return the bits a second that peers may send by an option of their own."""
    rates = {}
    for node in objects(plan.get("nodes")):
        rate = object_of(node.get("settings")).get("upload_rate")
        if isinstance(rate, str) and str(node.get("name")) in index:
            with contextlib.suppress(UnitError):
                rates[index[str(node["name"])]] = 8.0 * parse_rate(rate)
    return rates


def read_rows(record: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a record's events; a line that is cut or no row is left out."""
    try:
        with (record / EVENTS_FILE).open(encoding="utf-8", errors="replace") as lines:
            while line := lines.readline(MAX_ROW_CHARS):
                row = parse_json(line)
                if isinstance(row, dict):
                    yield row
    except FileNotFoundError:
        return


def _run(record: Path, plan: Mapping[str, Any], result: Mapping[str, Any]) -> Document:
    scenario = str(result.get("scenario") or plan.get("scenario") or record.parent.name)
    seconds = object_of(result.get("seconds"))
    parameters = object_of(result.get("parameters") or plan.get("parameters"))
    environment = object_of(result.get("environment"))
    return {
        "scenario": scenario,
        "about": str(result.get("about") or plan.get("about") or ""),
        "verdict": str(result.get("verdict") or "interrupted"),
        "exit_code": result.get("exit_code"),
        "error": result.get("error") if result else NOT_ENDED,
        "notes": [
            *(str(note) for note in listed(result.get("notes"))),
            *(f"by hand: {text}" for text in listed(result.get("touched"))),
        ],
        "began": str(result.get("began") or record.name),
        "duration": milliseconds(seconds.get("run")),
        "seed": result.get("seed", plan.get("seed")),
        "parameters": parameters,
        "time_limit": milliseconds(result.get("time_limit", plan.get("time_limit"))),
        "environment": environment,
        "command": _command(_scenario_word(plan, scenario), parameters, str(environment.get("engine", ""))),
        # Where the record lies on this machine is nobody else's business: the page is mailed around.
        "record": "/".join(record.parts[-3:]),
        "touched": bool(result.get("touched")),
        "live": False,
    }


def _scenario_word(plan: Mapping[str, Any], name: str) -> str:
    """Return what names the scenario on a command line: its name, or a path."""
    source = Path(str(plan.get("source") or name))
    return name if source.parent in {Path(), scenarios_folder()} else str(source)


def _command(scenario: str, parameters: Mapping[str, Any], engine: str) -> str:
    """Return the command that runs the same again."""
    words = ["torrentnet", "run", scenario]
    for name, value in parameters.items():
        words += ["--set", f"{name}={value}"]
    if engine := next((name for name in ("local", "docker") if engine.lower().startswith(name)), ""):
        words += ["--engine", engine]
    return shlex.join(words)


def _nodes(record: Path, plan: Mapping[str, Any], result: Mapping[str, Any]) -> list[Document]:
    """Return the nodes in the scenario's order, from what the record has of them."""
    created = objects(read_object(record / NODES_FILE).get("nodes"))
    rows = objects(plan.get("nodes")) or objects(result.get("nodes")) or created
    rows = rows or [{"name": path.stem} for path in sorted((record / LOGS_FOLDER).glob("*.log"))]
    addresses = {str(row.get("name")): row.get("address") for row in (*created, *objects(result.get("nodes")))}
    nodes = []
    for row in rows:
        name = str(row.get("name"))
        numbered = _NUMBERED.fullmatch(name)
        nodes.append(
            {
                "name": name,
                "role": _role(row),
                "group": str(row.get("group") or (numbered[1] if numbered else name)),
                "address": row.get("address") or addresses.get(name),
                "file": UNKNOWN,
                "start": milliseconds(row.get("start")) or 0,
                "strategy": row.get("strategy"),
                "client": None,
                "reports_pieces": False,
                "wants": row.get("file"),
            }
        )
    return nodes


def _role(row: Mapping[str, Any]) -> str:
    if (role := row.get("role")) in ROLES:
        return str(role)
    argv = [str(word) for word in listed(row.get("argv"))]
    if argv[:1] == ["tracker.py"] or row.get("name") == "tracker":
        return "tracker"
    return argv[1] if argv[:1] == ["peer.py"] and argv[1:2] and argv[1] in ROLES else "program"


def _files(plan: Mapping[str, Any], result: Mapping[str, Any], nodes: list[Document]) -> list[Document]:
    """Return the files, and set each node's place in them."""
    rows = objects(plan.get("files")) or objects(result.get("files"))
    hashes = {str(row.get("name")): row.get("sha256") for row in objects(result.get("files"))}
    names = [str(row.get("name")) for row in rows]
    files = [
        {
            "name": name,
            "size": row.get("size") or 0,
            "pieces": row.get("pieces") or 0,
            "piece_length": row.get("piece_length") or 0,
            "sha256": row.get("sha256") or hashes.get(name),
        }
        for name, row in zip(names, rows, strict=True)
    ]
    for node in nodes:
        wanted = node.pop("wants")
        if wanted in names:
            node["file"] = names.index(wanted)
        elif isinstance(wanted, str):
            # A node that gets a file under the name that another one shares it by, from a folder.
            node["file"] = next((place for place, name in enumerate(names) if name.rpartition("/")[2] == wanted), -1)
    return files


def _expectations(plan: Mapping[str, Any], result: Mapping[str, Any], index: Mapping[str, int]) -> Iterator[Document]:
    planned = objects(plan.get("expectations"))
    judged = objects(result.get("expectations"))
    for place, row in enumerate(judged or planned):
        same = planned[place] if place < len(planned) and planned[place].get("text") == row.get("text") else {}
        yield {
            "text": str(row.get("text", "")),
            "says": str(row.get("says") or row.get("text", "")),
            "where": str(row.get("where", "")),
            "level": str(row.get("level", "failure")),
            "passed": row.get("passed"),
            "judged": bool(row.get("judged")),
            "deadline": milliseconds(same.get("deadline")),
            "after": same.get("after"),
            "within": milliseconds(same.get("seconds")),
            "answers": [
                {
                    "node": index.get(str(answer.get("node")), UNKNOWN),
                    "passed": answer.get("passed"),
                    "judged": answer.get("judged"),
                    "measured": str(answer.get("measured", "")),
                    "time": milliseconds(answer.get("time")),
                    "look": str(answer.get("look", "")),
                }
                for answer in objects(row.get("answers"))
            ],
        }


# -- logs ------------------------------------------------------------------------------------------


def add_log(builder: DocumentBuilder, node: str, record: Path, zero: int | None) -> None:
    """Add a node's lines.

    Lines of progress are left out: the map of pieces shows what they say. A line without a time has that of the line
    before it.
    """
    path = record / LOGS_FOLDER / f"{node}.log"
    ms = 0
    for part in (path.with_name(f"{path.name}.1"), path):
        try:
            with part.open(encoding="utf-8", errors="replace") as lines:
                while line := lines.readline(MAX_ROW_CHARS):
                    found = _STAMP.match(line)
                    if found is not None:
                        if zero is None:
                            zero = _stamp_ms(found[1])
                        ms = _stamp_ms(found[1]) - zero
                        if PROGRESS_LINE.match(line):
                            continue
                    builder.add_line(node, ms, line.rstrip("\r\n"))
        except OSError:
            # The record of a lab that was killed may lack a node's log.
            continue


def _stamp_ms(stamp: str) -> int:
    return round(epoch_seconds(stamp) * 1000)
