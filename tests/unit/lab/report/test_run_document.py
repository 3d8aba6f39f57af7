"""A record becomes a document, whatever of it is there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.lab.report.records import killed_seed_rows, naming_rows, plan, result, row, write_record
from torrentnet.lab.errors import UsageError
from torrentnet.lab.paths import files_root
from torrentnet.lab.report.run_document import NOT_ENDED, run_document

if TYPE_CHECKING:
    from pathlib import Path


def places(document: dict[str, Any]) -> dict[str, int]:
    return {node["name"]: place for place, node in enumerate(document["nodes"])}


def test_a_record_becomes_nodes_marks_phases_and_faults(tmp_path: Path) -> None:
    document = run_document(write_record(tmp_path / "r", outcome=result()))
    at = places(document)
    leecher = at["leecher"]
    assert document["run"]["command"] == "torrentnet run trial --set size=1kB --engine local"
    assert [row[2] for row in document["phases"] if row[1] == leecher] == ["created", "waiting", "get", "seed"]
    assert [row[2] for row in document["phases"] if row[1] == at["seeder-1"]] == ["created", "waiting", "seed", "gone"]
    assert [1010, leecher, "lost", at["seeder-1"], "closed"] in document["marks"]
    assert [1100, leecher, "picked", at["seeder-2"], "one of 1"] in document["marks"]
    kill = next(fault for fault in document["faults"] if fault["kind"] == "kill")
    assert (kill["began"], kill["applied"], kill["nodes"]) == (1000, 1030, [at["seeder-1"]])
    assert document["files"] == [{"name": "a.txt", "size": 1000, "pieces": 4, "piece_length": 256, "sha256": "ab" * 32}]
    assert [row for row in document["held"] if row[2] == "all"] == [[1, -800, "all"], [2, -800, "all"]]
    answer = document["expectations"][0]["answers"][0]
    assert (answer["node"], answer["time"]) == (leecher, 2000)


def test_the_page_of_the_docs_names_every_key(tmp_path: Path) -> None:
    page = (files_root() / "docs" / "report.md").read_text("utf-8")
    document = run_document(write_record(tmp_path / "r", outcome=result()))
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == list(document)


def test_what_somebody_did_by_hand_is_a_note(tmp_path: Path) -> None:
    document = run_document(write_record(tmp_path / "r", outcome=result() | {"touched": ["kill leecher"]}))
    assert (document["run"]["touched"], document["run"]["notes"]) == (True, ["by hand: kill leecher"])


def test_a_node_that_does_not_name_its_pieces_gives_their_number(tmp_path: Path) -> None:
    document = run_document(write_record(tmp_path / "r", outcome=result()))
    arrivals = document["arrivals"]
    assert arrivals["t"] == [900, 900, 1900, 1900]
    assert set(arrivals["piece"]) == set(arrivals["source"]) == {-1}
    assert document["nodes"][places(document)["leecher"]]["reports_pieces"] is False


def test_the_record_of_a_killed_lab_is_shown_without_a_result(tmp_path: Path) -> None:
    logs = dict.fromkeys(("leecher", "seeder-1", "seeder-2", "tracker"), "")
    document = run_document(write_record(tmp_path / "r", logs=logs))
    assert (document["run"]["verdict"], document["run"]["error"]) == ("interrupted", NOT_ENDED)
    assert len(document["nodes"]) == 4
    assert document["run"]["duration"] == 2000


def test_a_lab_that_never_reached_its_start_counts_from_its_first_row(tmp_path: Path) -> None:
    rows = [one for one in killed_seed_rows() if "t" not in one]
    document = run_document(write_record(tmp_path / "r", rows, result() | {"verdict": "error", "error": "no disk"}))
    assert document["marks"][0][:3] == [0, 0, "started"]


def test_a_cut_and_a_foreign_line_are_left_out(tmp_path: Path) -> None:
    record = write_record(tmp_path / "r", outcome=result())
    with (record / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write('[1, 2]\n{"t": 1e999, "node": "leecher", "event": "note"}\nnonsense\n{"time": "2026-')
    assert run_document(record)["run"]["verdict"] == "passed"


def test_a_directory_without_a_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it is no record of a run"):
        run_document(tmp_path)


def test_a_record_without_nodes_is_an_empty_document(tmp_path: Path) -> None:
    document = run_document(write_record(tmp_path / "r", [], result() | {"nodes": [], "expectations": []}))
    assert (document["nodes"], document["marks"], document["arrivals"]["t"]) == ([], [], [])


def test_lines_of_logs_have_their_time_and_progress_is_left_out(tmp_path: Path) -> None:
    stamp = row(1.5, "x", "x")["time"]
    text = f"{stamp} progress have=1\n{stamp} picked peer=x\n</script>\u202ehello\n"
    document = run_document(write_record(tmp_path / "r", outcome=result(), logs={"leecher": text}))
    leecher = places(document)["leecher"]
    assert document["logs"] == [[1500, leecher, f"{stamp} picked peer=x"], [1500, leecher, "</script>\u202ehello"]]


def test_what_ends_a_partition_is_no_fault_of_its_own(tmp_path: Path) -> None:
    cut = {"text": "partition a | b", "nodes": ["seeder-1", "leecher"], "planned": 1.0, "began": 1.0}
    rows = [
        row(0.0, "lab", "zero"),
        row(1.0, "lab", "begun", text=cut["text"], nodes=cut["nodes"]),
        row(1.2, "lab", "applied", **cut, applied=1.2),
        row(3.0, "lab", "begun", text="end of partition a | b", nodes=cut["nodes"]),
        row(
            3.1,
            "lab",
            "applied",
            text="end of partition a | b",
            nodes=cut["nodes"],
            planned=3.0,
            began=3.0,
            applied=3.1,
            measured={"text": "9 packets stopped"},
        ),
    ]
    (fault,) = run_document(write_record(tmp_path / "r", rows, result()))["faults"]
    assert (fault["began"], fault["applied"], fault["ended"]) == (1000, 1200, 3000)
    assert fault["measured"] == "9 packets stopped"


def test_pieces_have_their_source_and_time(tmp_path: Path) -> None:
    document = run_document(write_record(tmp_path / "r", naming_rows(), result()))
    at = places(document)
    assert document["arrivals"] == {
        "t": [500, 800, 1600, 1900],
        "node": [at["leecher"]] * 4,
        "piece": [0, 2, 1, 3],
        "source": [at["seeder-1"], at["seeder-1"], at["seeder-2"], -1],
    }
    assert document["nodes"][at["leecher"]]["reports_pieces"] is True


def test_a_piece_that_the_file_does_not_have_is_left_out(tmp_path: Path) -> None:
    arrived = {"file": "a.txt", "have": "1", "pieces": "4", "arrived": "198.18.0.3:6881/4@0,3@0;nonsense"}
    rows = [*killed_seed_rows()[:9], row(0.0, "lab", "zero"), row(1.0, "leecher", "progress", **arrived)]
    assert run_document(write_record(tmp_path / "r", rows, result()))["arrivals"]["piece"] == [3]


def test_the_plan_gives_caps_links_deadlines_and_the_bound(tmp_path: Path) -> None:
    document = run_document(write_record(tmp_path / "r", naming_rows(), result(), planned=plan()))
    at = places(document)
    seeds, leecher = [at["seeder-1"], at["seeder-2"]], at["leecher"]
    assert document["caps"] == [
        {"nodes": seeds, "uplink": 8000, "downlink": None},
        {"nodes": [leecher], "uplink": 4000, "downlink": None},
    ]
    assert document["links"] == [
        {"text": "uplink", "pairs": [[leecher, at["seeder-1"]]], "qualities": {"uplink": 4000}}
    ]
    assert document["expectations"][0]["deadline"] == 9000
    # The leecher was up at 0.4 s; 8,000 bits from seeds that send 16,000 in a second.
    assert document["bound"] == {"text": "no way of sharing is faster", "t": 900}
    assert document["run"]["command"] == "torrentnet run '/home/somebody/my trial.yaml' --set size=1kB --engine local"


def test_the_plan_alone_is_shown_while_nothing_has_happened(tmp_path: Path) -> None:
    document = run_document(write_record(tmp_path / "r", [], planned=plan()))
    assert [node["name"] for node in document["nodes"]] == ["tracker", "seeder-1", "seeder-2", "leecher"]
    assert document["expectations"][0]["judged"] is False


def test_each_of_two_equal_faults_has_its_own_end(tmp_path: Path) -> None:
    cut = {"text": "partition a | b", "kind": "partition", "nodes": ["seeder-1"], "pairs": [["seeder-1", "leecher"]]}
    end = {"text": "end of partition a | b", "kind": "heal", "nodes": ["seeder-1"]}
    rows = [row(0.0, "lab", "zero")]
    for number, t in ((1, 1.0), (2, 2.0)):
        rows.append(row(t, "lab", "begun", **cut, began=t))
        rows.append(row(t + 0.1, "lab", "applied", **cut, qualities={"cut": True}, began=t, applied=t, fault=number))
    rows.append(row(3.0, "lab", "applied", **end, began=3.0, applied=3.1, ends=2))
    first, second = run_document(write_record(tmp_path / "r", rows, result()))["faults"]
    assert (first["ended"], second["ended"]) == (None, 3000)
    assert second["pairs"] == [[1, 3]]
    assert second["qualities"] == {"cut": True}


def test_a_deadline_counts_from_the_event_that_it_waits_for(tmp_path: Path) -> None:
    planned = plan()
    planned["expectations"][0] |= {"deadline": None, "after": 4, "seconds": 2.5}
    kill = {"text": "kill seeder-1", "kind": "kill", "nodes": ["seeder-1"], "event": 4}
    rows = [row(0.0, "lab", "zero"), row(3.0, "lab", "begun", **kill, began=3.0)]
    document = run_document(write_record(tmp_path / "r", rows, result(), planned=planned))
    assert document["expectations"][0]["deadline"] == 5500
