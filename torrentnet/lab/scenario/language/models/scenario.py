"""A whole scenario file; the JSON Schema for editors is generated from this model."""

from typing import Annotated, Final

from pydantic import Field, Tag

from torrentnet.lab.scenario.language.models.expectations import ExpectationItem
from torrentnet.lab.scenario.language.models.links import LinkModel
from torrentnet.lab.scenario.language.models.nodes import NodeModel
from torrentnet.lab.scenario.language.models.tags import discriminate_by_key
from torrentnet.lab.scenario.language.models.timeline import TimelineItem
from torrentnet.lab.scenario.language.models.values import (
    About,
    Duration,
    FileName,
    ParameterValue,
    ScenarioName,
    Seed,
    Size,
    StrictModel,
    TextLine,
)
from torrentnet.lab.scenario.language.units import format_duration

DEFAULT_TIME_LIMIT: Final = 60.0
DEFAULT_SEED: Final = 1


class GeneratedFileModel(StrictModel):
    """A file whose content is generated from the scenario's seed."""

    size: Size = Field(description="0B makes an empty file")
    as_: FileName | None = Field(None, alias="as", description="another file's name, under which this file is shared")


class SourceFileModel(StrictModel):
    """A file that exists already."""

    source: TextLine = Field(description="its path, relative to the scenario file")
    as_: FileName | None = Field(None, alias="as", description="another file's name, under which this file is shared")


FILE_MODELS: Final[dict[str, type[StrictModel]]] = {"size": GeneratedFileModel, "source": SourceFileModel}

FileModel = Annotated[
    Annotated[GeneratedFileModel, Tag("content:size")] | Annotated[SourceFileModel, Tag("content:source")],
    discriminate_by_key("content:", FILE_MODELS),
]


class ScenarioModel(StrictModel):
    """One experiment: the nodes, what happens when, and what must be true."""

    name: ScenarioName | None = Field(None, description="the file's name without `.yaml`, which is the default")
    about: About = Field("", description="one sentence that says what the experiment shows")
    seed: Seed = Field(DEFAULT_SEED, description="determines every random choice of the lab and the peers")
    time_limit: Duration = Field(
        DEFAULT_TIME_LIMIT,
        description="the longest time of a run; what is not true by then has failed",
        json_schema_extra={"default": format_duration(DEFAULT_TIME_LIMIT)},
    )
    parameters: dict[str, ParameterValue] = Field(
        default_factory=dict, description="values that the command line can set, with their defaults; used as `$name`"
    )
    files: dict[str, FileModel] = Field(default_factory=dict, description="the files that are shared, by name")
    nodes: dict[str, NodeModel] = Field(description="the tracker and the groups of peers, by name")
    links: list[LinkModel] = Field(default_factory=list, description="the state of the network at t = 0")
    timeline: list[TimelineItem] = Field(default_factory=list, description="the events")
    expect: list[ExpectationItem] = Field(default_factory=list, description="what must be true")
