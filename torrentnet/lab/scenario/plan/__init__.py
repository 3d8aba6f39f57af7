"""The plan: a scenario with every name, time and random choice resolved. The only seam to the rest of the lab.

Engines, timeline and checks use a :class:`Plan` and never see YAML. Times are seconds after t = 0, the moment at which
the tracker and the first seeds are up. An event that is repeated is as many events. Only two things stay open until the
run: when an event with a :class:`Trigger` happens, and the start of an expectation that counts from such an event.
"""

from torrentnet.lab.scenario.plan.events import (
    AfterTrigger as AfterTrigger,
)
from torrentnet.lab.scenario.plan.events import (
    CommandPlan as CommandPlan,
)
from torrentnet.lab.scenario.plan.events import (
    ConsolePlan as ConsolePlan,
)
from torrentnet.lab.scenario.plan.events import (
    DownTrigger as DownTrigger,
)
from torrentnet.lab.scenario.plan.events import (
    EventPlan as EventPlan,
)
from torrentnet.lab.scenario.plan.events import (
    HasTrigger as HasTrigger,
)
from torrentnet.lab.scenario.plan.events import (
    HealPlan as HealPlan,
)
from torrentnet.lab.scenario.plan.events import (
    ImpairPlan as ImpairPlan,
)
from torrentnet.lab.scenario.plan.events import (
    IsolatePlan as IsolatePlan,
)
from torrentnet.lab.scenario.plan.events import (
    KillPlan as KillPlan,
)
from torrentnet.lab.scenario.plan.events import (
    LastingPlan as LastingPlan,
)
from torrentnet.lab.scenario.plan.events import (
    NetworkFaultPlan as NetworkFaultPlan,
)
from torrentnet.lab.scenario.plan.events import (
    NodeTrigger as NodeTrigger,
)
from torrentnet.lab.scenario.plan.events import (
    PartitionPlan as PartitionPlan,
)
from torrentnet.lab.scenario.plan.events import (
    PausePlan as PausePlan,
)
from torrentnet.lab.scenario.plan.events import (
    RestartPlan as RestartPlan,
)
from torrentnet.lab.scenario.plan.events import (
    RunPlan as RunPlan,
)
from torrentnet.lab.scenario.plan.events import (
    SeedTrigger as SeedTrigger,
)
from torrentnet.lab.scenario.plan.events import (
    StartPlan as StartPlan,
)
from torrentnet.lab.scenario.plan.events import (
    StopPlan as StopPlan,
)
from torrentnet.lab.scenario.plan.events import (
    Trigger as Trigger,
)
from torrentnet.lab.scenario.plan.events import (
    UpTrigger as UpTrigger,
)
from torrentnet.lab.scenario.plan.expectations import (
    Always as Always,
)
from torrentnet.lab.scenario.plan.expectations import (
    At as At,
)
from torrentnet.lab.scenario.plan.expectations import (
    BecomesCheckPlan as BecomesCheckPlan,
)
from torrentnet.lab.scenario.plan.expectations import (
    BytesCheckPlan as BytesCheckPlan,
)
from torrentnet.lab.scenario.plan.expectations import (
    ConsoleCheckPlan as ConsoleCheckPlan,
)
from torrentnet.lab.scenario.plan.expectations import (
    ExitCheckPlan as ExitCheckPlan,
)
from torrentnet.lab.scenario.plan.expectations import (
    ExpectationPlan as ExpectationPlan,
)
from torrentnet.lab.scenario.plan.expectations import (
    ForgetsCheckPlan as ForgetsCheckPlan,
)
from torrentnet.lab.scenario.plan.expectations import (
    HasCheckPlan as HasCheckPlan,
)
from torrentnet.lab.scenario.plan.expectations import (
    Interval as Interval,
)
from torrentnet.lab.scenario.plan.expectations import (
    KnowsCheckPlan as KnowsCheckPlan,
)
from torrentnet.lab.scenario.plan.expectations import (
    LogCheckPlan as LogCheckPlan,
)
from torrentnet.lab.scenario.plan.expectations import (
    LogPattern as LogPattern,
)
from torrentnet.lab.scenario.plan.expectations import (
    Severity as Severity,
)
from torrentnet.lab.scenario.plan.expectations import (
    StateCheckPlan as StateCheckPlan,
)
from torrentnet.lab.scenario.plan.expectations import (
    Timing as Timing,
)
from torrentnet.lab.scenario.plan.expectations import (
    Within as Within,
)
from torrentnet.lab.scenario.plan.plan import FilePlan as FilePlan
from torrentnet.lab.scenario.plan.plan import NodePlan as NodePlan
from torrentnet.lab.scenario.plan.plan import NodeProgram as NodeProgram
from torrentnet.lab.scenario.plan.plan import Plan as Plan
from torrentnet.lab.scenario.plan.plan import Role as Role
from torrentnet.lab.scenario.plan.plan import TorrentPlan as TorrentPlan
