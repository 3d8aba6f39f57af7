"""report.html: a run as one file that opens anywhere, without a network.

The verdict is HTML, which needs no script. Everything else is drawn by the viewer from the embedded document.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from torrentnet.lab.report.arrival_columns import packed_columns
from torrentnet.lab.report.html_templates import TEMPLATES, content_policy, template_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torrentnet.lab.report.record_values import Document

ASSETS: Final = Path(__file__).parent / "assets"
"""The viewer, built from the sources in web/."""
MAX_ANSWERS: Final = 5
"""Nodes of an expectation that are shown at once."""
MAX_FAULTS: Final = 60
SIGNS: Final = {"passed": "✓", "failed": "✗", "error": "✗", "running": "…"}
HEADLINES: Final = {
    "passed": "Passed",
    "failed": "Failed",
    "not judged": "Not judged",
    "error": "Error: nothing was judged",
    "interrupted": "Interrupted",
    "running": "Running",
}
_CSS: Final = {"passed": "good", "failed": "bad", "error": "bad"}


def report_page(document: Document, against: Document | None = None) -> str:
    """Return the page of a run; ``against`` is another run, on the same clock."""
    script, sheets = viewer_script(), [style_sheet("report.css"), *viewer_styles()]
    environment = template_environment()
    environment.filters["sign"] = lambda verdict: SIGNS.get(verdict, "?")
    environment.filters["css"] = lambda verdict: _CSS.get(verdict, "other")
    run, nodes = document["run"], [str(node["name"]) for node in document["nodes"]]
    faults = [fault for fault in document["faults"] if fault["kind"] != "start" or fault["error"]]
    binned = [document["binned"]["text"]] if document["binned"] else []
    return environment.get_template("report.html").render(
        policy=Markup(content_policy([script] if script else [], sheets)),
        sheets=[Markup(sheet) for sheet in sheets],
        script=Markup(script),
        run=run,
        headline=headline(document),
        notes=[*run.get("notes", ()), *binned],
        expectations=[_expectation(one, nodes) for one in document["expectations"]],
        facts=list(_facts(document)),
        faults=[_fault(fault) for fault in faults[:MAX_FAULTS]],
        more_faults=max(0, len(faults) - MAX_FAULTS),
        data=Markup(embedded_json(packed(document))),
        against=None if against is None else [("result", headline(against)), *_facts(against)],
        against_data="" if against is None else Markup(embedded_json(packed(against))),
    )


def headline(document: Document) -> str:
    """Return a run's verdict in a few words."""
    expectations, verdict = document["expectations"], document["run"]["verdict"]
    text = HEADLINES.get(verdict, str(verdict))
    judged = [one for one in expectations if one["judged"]]
    if judged and verdict in {"passed", "failed"}:
        text += f": {sum(bool(one['passed']) for one in judged)} of {len(expectations)} expectations hold"
    return text


def packed(document: Document) -> Document:
    """Return the document as a page has it: its columns compressed."""
    return {**document, "arrivals": packed_columns(document["arrivals"])}


def embedded_json(document: Document) -> str:
    """Return a document as the text of a script element, which no text in it ends."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def viewer_script() -> str:
    """Return the viewer; empty where this installation has none."""
    return _asset("viewer.js").replace("</script", "<\\/script").replace("<!--", "<\\!--")


def viewer_styles() -> list[str]:
    """Return the viewer's style sheet, if there is one."""
    return [sheet] if (sheet := _asset("viewer.css")) else []


def style_sheet(name: str) -> str:
    """Return a style sheet of the templates."""
    return (TEMPLATES / name).read_text("utf-8")


def _asset(name: str) -> str:
    try:
        return (ASSETS / name).read_text("utf-8")
    except FileNotFoundError:
        return ""


def _expectation(one: Mapping[str, Any], nodes: list[str]) -> Document:
    if one["passed"]:
        css, sign, word = "good", "✓", "holds"
    elif not one["judged"]:
        css, sign, word = "other", "?", "not judged"
    elif one["level"] == "warning":
        css, sign, word = "warn", "!", "warning"
    else:
        css, sign, word = "bad", "✗", "fails"
    answers = [
        {
            **answer,
            "node": nodes[answer["node"]] if 0 <= answer["node"] < len(nodes) else "?",
            "at": seconds_text(answer["time"] or 0),
        }
        for answer in sorted(one["answers"], key=lambda answer: bool(answer["passed"]))
    ]
    return {
        **{key: one[key] for key in ("text", "says", "where")},
        "css": css,
        "sign": sign,
        "word": word,
        "answers": answers[:MAX_ANSWERS],
        "others": answers[MAX_ANSWERS:],
        "look": answers[0]["look"] if answers else "",
    }


def _facts(document: Document) -> Iterator[tuple[str, str]]:
    run = document["run"]
    yield "began", str(run["began"])
    if run["duration"] is not None:
        yield "lasted", seconds_text(run["duration"])
    if run["seed"] is not None:
        yield "seed", str(run["seed"])
    for name, value in run["parameters"].items():
        yield f"parameter {name}", str(value)
    yield "nodes", str(len(document["nodes"]))
    for file in document["files"]:
        size = f", {file['size']:,} bytes" if file["size"] else ""
        pieces = f" in {file['pieces']:,} pieces" if file["pieces"] else ""
        yield f"file {file['name']}", f"SHA-256 {file['sha256'] or 'unknown'}{size}{pieces}"
    for name, value in run["environment"].items():
        yield str(name), str(value)
    if bound := document["bound"]:
        yield "textbook's bound", f"{bound['text']}: {seconds_text(bound['t'])}"
    if record := run.get("record"):
        yield "record", str(record)


def _fault(fault: Mapping[str, Any]) -> Document:
    lasting = fault["ended"] is not None and fault["ended"] != fault["applied"]
    return {
        "ms": fault["began"],
        "time": seconds_text(fault["began"]),
        "text": fault["text"],
        "ended": seconds_text(fault["ended"]) if lasting else "",
        "measured": fault.get("measured"),
        "error": fault["error"],
    }


def seconds_text(ms: float) -> str:
    """Return milliseconds as people read them: ``2.00 s``."""
    return f"{ms / 1000:.2f} s"
