"""A whole scenario file; the JSON Schema for editors is made from this model."""

from typing import Annotated

from pydantic import Field, Tag

from torrentnet.lab.scenario.expectations import Expectation
from torrentnet.lab.scenario.keyed import by_key
from torrentnet.lab.scenario.links import Link
from torrentnet.lab.scenario.nodes import Node
from torrentnet.lab.scenario.timeline import Event
from torrentnet.lab.scenario.types import About, Duration, FileName, Line, Part, ScenarioName, Seed, Size, Value
from torrentnet.lab.scenario.units import format_duration

DEFAULT_TIME_LIMIT = 60.0
DEFAULT_SEED = 1


class MadeFile(Part):
    """A file whose content is made from the scenario's seed."""

    size: Size = Field(description="0B makes an empty file")
    as_: FileName | None = Field(None, alias="as", description="another file's name, under which this one goes out")


class SourceFile(Part):
    """A file that is there already."""

    source: Line = Field(description="where it is, relative to the scenario file")
    as_: FileName | None = Field(None, alias="as", description="another file's name, under which this one goes out")


FILES: dict[str, type[Part]] = {"size": MadeFile, "source": SourceFile}

File = Annotated[
    Annotated[MadeFile, Tag("content:size")] | Annotated[SourceFile, Tag("content:source")],
    by_key("content:", FILES),
]


class Scenario(Part):
    """One experiment: who is on the network, what happens when, and what must be true."""

    name: ScenarioName | None = Field(None, description="the file's name without .yaml, which is the default")
    about: About = Field("", description="one sentence that says what the experiment shows")
    seed: Seed = Field(DEFAULT_SEED, description="every random choice of the lab and of the peers follows from it")
    time_limit: Duration = Field(
        DEFAULT_TIME_LIMIT,
        description="past it the run is over; what has not come true has failed",
        json_schema_extra={"default": format_duration(DEFAULT_TIME_LIMIT)},
    )
    parameters: dict[str, Value] = Field(
        default_factory=dict, description="values with their defaults that the command line can set; used as `$name`"
    )
    files: dict[str, File] = Field(default_factory=dict, description="the files that are shared, by name")
    nodes: dict[str, Node] = Field(description="the tracker and the groups of peers, by name")
    links: list[Link] = Field(default_factory=list, description="the state of the network at t = 0")
    timeline: list[Event] = Field(default_factory=list, description="what happens when")
    expect: list[Expectation] = Field(default_factory=list, description="what must be true")
