"""A network as a JSON document, and its schema.

``python -m torrentnet.lab.report.graph.json_document > docs/graph.schema.json`` writes the schema anew.

Tested by tests/unit/lab/report/graph/test_pictures.py.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from torrentnet.lab.report.graph.network_graph import GraphNode, NetworkGraph

VERSION: Final = 1
"""Of the document; a change of what a field means increments it."""


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True, use_attribute_docstrings=True)


class GraphNodeRow(_Row):
    """A node, or a group that is drawn as one."""

    name: str
    group: str
    role: str
    """`tracker`, `share`, `get`, or `run` for a program without a role."""
    file: str | None
    """The file that it shares or gets."""
    program: str | None
    """The program that it runs; null for torrentnet's own."""
    settings: list[str]
    state: str | None
    """At the moment `at`: `waiting`, `get 40 %`, `seed`, `paused`, `gone`; null for the network as planned."""
    members: Annotated[int, Field(ge=1)]
    """The number of nodes that it stands for."""


class GraphLinkRow(_Row):
    """A link between two nodes, or between all nodes of two groups."""

    source: Annotated[str, Field(alias="from")]
    """A node's name, or a group's."""
    target: Annotated[str, Field(alias="to")]
    kind: Literal["announce", "file", "impaired", "cut"]
    text: str
    """The file, or the link's qualities: `loss 5%, delay 20ms`."""
    both: bool
    """Whether it is the same in both directions."""
    pairs: list[tuple[str, str]]
    """The nodes that it joins; each pair once if it is the same in both directions."""


class GraphFileRow(_Row):
    """A file that nodes share or get."""

    name: str
    size: str | None
    """As a scenario writes it: `8MiB`; null where it is unknown."""


class GraphDocument(_Row):
    """The network of a lab, as `torrentnet graph --format json` prints it."""

    version: Literal[1]
    title: str
    about: str
    at: float | None
    """Seconds after t = 0 for a moment of a run; null for the network as planned."""
    nodes: list[GraphNodeRow]
    """In the order of the scenario."""
    links: list[GraphLinkRow]
    files: list[GraphFileRow]
    notes: list[str]


def json_document(graph: NetworkGraph) -> str:
    """Return the document's text."""
    document = GraphDocument(
        version=VERSION,
        title=graph.title,
        about=graph.about,
        at=graph.at,
        nodes=[_node_row(node) for node in graph.nodes],
        links=[
            GraphLinkRow(
                source=link.source.name,
                target=link.target.name,
                kind=link.kind.value,
                text=link.text,
                both=link.both,
                pairs=list(link.pairs),
            )
            for link in graph.links
        ],
        files=[GraphFileRow(name=name, size=size or None) for name, size in graph.files],
        notes=list(graph.notes),
    )
    return json.dumps(document.model_dump(by_alias=True, mode="python"), indent=2) + "\n"


def _node_row(node: GraphNode) -> GraphNodeRow:
    return GraphNodeRow(
        name=node.name,
        group=node.group,
        role=node.role,
        file=node.file or None,
        program=node.program or None,
        settings=list(node.settings),
        state=node.state or None,
        members=node.members,
    )


def schema() -> str:
    """Return the text of the schema."""
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **GraphDocument.model_json_schema()}
    return json.dumps(document, indent=2) + "\n"


if __name__ == "__main__":
    print(schema(), end="")
