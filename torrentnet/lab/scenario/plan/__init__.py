# ruff: noqa: I001  (one statement a module, although each name is exported explicitly)
"""The plan: a scenario with every name, time and random choice resolved. The only seam to the rest of the lab.

Engines, timeline and checks use a :class:`Plan` and never see YAML. Times are seconds after t = 0, the moment at which
the tracker and the first seeds are up. An event that is repeated is as many events. Only two things stay open until the
run: when an event with a :class:`Trigger` happens, and the start of an expectation that counts from such an event.
"""

from torrentnet.lab.scenario.plan.events import (
    AfterTrigger as AfterTrigger,
    CommandPlan as CommandPlan,
    ConsolePlan as ConsolePlan,
    DownTrigger as DownTrigger,
    EventPlan as EventPlan,
    HasTrigger as HasTrigger,
    HealPlan as HealPlan,
    ImpairPlan as ImpairPlan,
    IsolatePlan as IsolatePlan,
    KillPlan as KillPlan,
    LastingPlan as LastingPlan,
    NetworkFaultPlan as NetworkFaultPlan,
    NodeTrigger as NodeTrigger,
    PartitionPlan as PartitionPlan,
    PausePlan as PausePlan,
    RestartPlan as RestartPlan,
    RunPlan as RunPlan,
    SeedTrigger as SeedTrigger,
    StartPlan as StartPlan,
    StopPlan as StopPlan,
    Trigger as Trigger,
    UpTrigger as UpTrigger,
)
from torrentnet.lab.scenario.plan.expectations import (
    Always as Always,
    At as At,
    BecomesCheckPlan as BecomesCheckPlan,
    BytesCheckPlan as BytesCheckPlan,
    ConsoleCheckPlan as ConsoleCheckPlan,
    ExitCheckPlan as ExitCheckPlan,
    ExpectationPlan as ExpectationPlan,
    ForgetsCheckPlan as ForgetsCheckPlan,
    HasCheckPlan as HasCheckPlan,
    Interval as Interval,
    KnowsCheckPlan as KnowsCheckPlan,
    LogCheckPlan as LogCheckPlan,
    LogPattern as LogPattern,
    Severity as Severity,
    StateCheckPlan as StateCheckPlan,
    Timing as Timing,
    Within as Within,
)
from torrentnet.lab.scenario.plan.plan import (
    FilePlan as FilePlan,
    NodePlan as NodePlan,
    NodeProgram as NodeProgram,
    Plan as Plan,
    Role as Role,
    TorrentPlan as TorrentPlan,
)
