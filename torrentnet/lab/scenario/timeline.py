"""``timeline:`` what happens when."""

from typing import Annotated

from pydantic import Field, Tag

from torrentnet.lab.scenario.keyed import by_key
from torrentnet.lab.scenario.types import Nodes, Part, Span, Time


class Timed(Part):
    """When an event happens."""

    at: Time = Field(description="when, after t = 0")


class Kill(Timed):
    """End the node at once (SIGKILL); it has no time for a good-bye."""

    kill: Nodes


class Stop(Timed):
    """End the node in order (SIGTERM); a peer says good-bye."""

    stop: Nodes


class Pause(Timed):
    """Freeze the node: it answers nothing and keeps its connections; it goes on after `for` or at `until`."""

    pause: Nodes
    for_: Span | None = Field(None, alias="for", description="how long, or `rest`")
    until: Time | None = Field(None, description="when it goes on, after t = 0")


class Restart(Timed):
    """Stop the node, if it runs, and start it again; its files stay."""

    restart: Nodes


class Start(Timed):
    """Start a node that was killed or stopped; its files stay."""

    start: Nodes


VERBS: dict[str, type[Timed]] = {"kill": Kill, "stop": Stop, "pause": Pause, "restart": Restart, "start": Start}

AnyEvent = Kill | Stop | Pause | Restart | Start

Event = Annotated[
    Annotated[Kill, Tag("verb:kill")]
    | Annotated[Stop, Tag("verb:stop")]
    | Annotated[Pause, Tag("verb:pause")]
    | Annotated[Restart, Tag("verb:restart")]
    | Annotated[Start, Tag("verb:start")],
    by_key("verb:", VERBS),
]
