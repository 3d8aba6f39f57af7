"""The pictures: what they show, and that no name breaks them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.unit.lab import golden
from torrentnet.lab.paths import scenarios_folder
from torrentnet.lab.report.graph.dot import dot
from torrentnet.lab.report.graph.json_document import GraphDocument, json_document, schema
from torrentnet.lab.report.graph.mermaid import mermaid
from torrentnet.lab.report.graph.network_graph import GraphNode, build_graph
from torrentnet.lab.report.graph.planned import plan_graph
from torrentnet.lab.report.graph.svg import ring_angle, svg
from torrentnet.lab.scenario.load import find_plan, list_scenarios
from torrentnet.lab.scenario.qualities import LinkQualities

if TYPE_CHECKING:
    from torrentnet.lab.report.graph.network_graph import NetworkGraph

ROOT = Path(__file__).resolve().parents[5]
GOLDEN = Path(__file__).parent / "golden"
RENDERERS = {"mmd": mermaid, "dot": dot, "svg": svg, "json": json_document}
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    'x"]; evil',
    "a --> b",
    "</svg><script>alert(1)</script>",
    "back\\slash\\",
    "%%{init: {}}%%",
    "`markdown` **bold**",
    "&quot;&lt;#quot;#35;",
    "line\nbreak\r\tand \x00 \x1b[31m",
    "right\u202eto left",
    "lone \ud800 surrogate",
    "end",
    "graph",
    "-dash",
    "𝕌nicode 名前",
    "n" * 4096,
    "",
]


def scenario(name: str) -> NetworkGraph:
    return plan_graph(find_plan(name, scenarios_folder()))


def hostile_graph() -> NetworkGraph:
    nodes = [
        GraphNode(name, group=f"{name} group{index % 2}", role="get", file=name, settings=(name,), state=name)
        for index, name in enumerate(HOSTILE)
    ]
    nodes += [GraphNode(f"{name}{index}", HOSTILE[0], "share", HOSTILE[2]) for index, name in enumerate(HOSTILE)]
    cut = {(one.name, other.name): LinkQualities(cut=True) for one in nodes[:3] for other in nodes[3:9]}
    files = [(name, "") for name in HOSTILE]
    return build_graph(HOSTILE[2], HOSTILE[0], nodes, cut, files=files, notes=HOSTILE)


def crowd(size: int, groups: int = 1) -> list[GraphNode]:
    peers = [GraphNode(f"leecher-{n}", f"group-{n % groups}", "get", "f") for n in range(size)]
    return [GraphNode("tracker", "tracker", "tracker"), GraphNode("seeder", "seeder", "share", "f"), *peers]


@pytest.mark.parametrize("suffix", RENDERERS)
@pytest.mark.parametrize("name", ["three_seeders", "lossy_udp"])
def test_a_scenario_is_drawn(name: str, suffix: str) -> None:
    golden.check(f"{name}.{suffix}", RENDERERS[suffix](scenario(name)), GOLDEN)


def test_the_readme_shows_three_seeders_as_it_is() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert f"```mermaid\n{mermaid(scenario('three_seeders'))}```" in readme


def test_the_page_shows_three_seeders_as_it_is() -> None:
    assert (ROOT / "docs/graph.svg").read_text("utf-8") == svg(scenario("three_seeders"))


@pytest.mark.parametrize("name", [name for name, _, _ in list_scenarios(scenarios_folder())])
def test_every_scenario_can_be_drawn(name: str) -> None:
    found = scenario(name)
    for render in RENDERERS.values():
        assert render(found)


def test_what_graphviz_reads_has_every_node() -> None:
    if not shutil.which("dot"):
        pytest.skip("needs dot (Debian package graphviz)")
    for found in (scenario("three_seeders"), scenario("lossy_udp"), hostile_graph(), build_graph("", "", [], {})):
        read = subprocess.run(
            ["dot", "-Tjson0"], input=dot(found), capture_output=True, text=True, check=False, timeout=60
        )
        assert (read.returncode, read.stderr) == (0, "")
        names = {item["name"] for item in json.loads(read.stdout).get("objects", ())}
        plain = {node.name for node in found.nodes if re.fullmatch(r"[\w-]+", node.name)}
        assert plain <= names


def test_an_svg_is_for_screen_readers_too() -> None:
    root = ET.fromstring(svg(scenario("lossy_udp")))
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert title.text == "lossy_udp"
    assert "tracker and leecher: loss 20%" in (description.text or "")


def test_an_svg_has_a_light_and_a_dark_theme() -> None:
    text = svg(scenario("three_seeders"))
    assert "prefers-color-scheme: dark" in text
    drawn = text.partition("</style>")[2]
    assert not re.search(r"#[0-9a-f]{6}|(fill|stroke)=", drawn)  # every colour is the theme's


def test_the_ring_begins_at_the_top_and_goes_clockwise() -> None:
    root = ET.fromstring(svg(scenario("three_seeders")))
    tracker = root.find(f"{SVG}rect[@class='node tracker']")
    circles = [item for item in root.findall(f"{SVG}circle") if "node" in (item.get("class") or "")]
    places = [(float(item.get("cx", 0)), float(item.get("cy", 0))) for item in circles]
    assert tracker is not None
    assert float(tracker.get("y", 0)) < min(y for _, y in places)
    assert [x > 360 for x, _ in places] == [True, True, False, False, False]
    assert places[0][1] < places[1][1] < places[2][1]  # down the right side
    assert ring_angle(0, 6) < ring_angle(1, 6)


@pytest.mark.parametrize("suffix", RENDERERS)
def test_hostile_names_stay_text(suffix: str) -> None:
    text = RENDERERS[suffix](hostile_graph())
    text.encode("utf-8")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", text)
    match suffix:
        case "svg":
            root = ET.fromstring(text)
            assert {item.tag.removeprefix(SVG) for item in root.iter()} <= {
                *("svg", "title", "desc", "style", "defs", "marker", "path", "rect", "circle", "text")
            }
        case "mmd":
            for line in text.splitlines()[1:]:
                quoted = re.sub(r'"[^"<>`]*"', "Q", line.replace("<br/>", " "))
                assert re.fullmatch(
                    r"flowchart LR| +(acc(Title|Descr): [\w .,:()%/×…-]*|end|subgraph g\d+ \[Q\]"
                    r"|[nf]\d+(\(\[Q\]\)|\[Q\]|\[\(Q\)\])|[ng]\d+ [<=.ox>-]+(\|Q\|)? [ngf]\d+|note\d+>Q\])",
                    quoted,
                ), line
        case "json":
            assert [row["name"] for row in json.loads(text)["nodes"]][: len(HOSTILE)] == HOSTILE


def test_a_large_group_is_one_node() -> None:
    found = build_graph(
        "crowd", "", crowd(100), {("seeder", f"leecher-{n}"): LinkQualities(loss=0.05) for n in range(100)}
    )
    assert [(node.name, node.members) for node in found.nodes] == [("tracker", 1), ("seeder", 1), ("group-0", 100)]
    assert 'n1 ==>|"loss 5%"| n2' in mermaid(found)
    assert "group-0 ×100" in svg(found)


def test_a_part_of_a_large_groups_links_is_counted() -> None:
    found = build_graph(
        "crowd", "", crowd(100), {("seeder", f"leecher-{n}"): LinkQualities(cut=True) for n in range(7)}
    )
    assert 'n1 --x|"cut (7 of 100 pairs)"| n2' in mermaid(found)


def test_many_small_groups_are_one_node_each() -> None:
    found = build_graph("crowd", "", crowd(500, groups=25), {})
    assert [node.members for node in found.nodes] == [1, 1, *[20] * 25]


def test_twenty_nodes_are_drawn_one_by_one() -> None:
    assert len(build_graph("crowd", "", crowd(20), {}).nodes) == 22


@pytest.mark.parametrize("suffix", RENDERERS)
def test_a_network_without_nodes_is_a_picture(suffix: str) -> None:
    assert RENDERERS[suffix](build_graph("empty", "", [], {}))


def test_an_uplink_belongs_to_its_node() -> None:
    found = scenario("textbook")
    assert "uplink 40mbit" in next(node for node in found.nodes if node.name == "seeder").settings
    assert not [link for link in found.links if link.kind == "impaired"]


def test_the_json_document_follows_its_schema() -> None:
    for found in (scenario("lossy_udp"), build_graph("empty", "", [], {}), build_graph("crowd", "", crowd(100), {})):
        GraphDocument.model_validate_json(json_document(found))
    assert (ROOT / "docs/graph.schema.json").read_text("utf-8") == schema()
