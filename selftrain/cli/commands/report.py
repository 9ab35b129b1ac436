"""`selftrain report`: what a run found, and several runs in one table."""

from __future__ import annotations

from selftrain.cli.command import command
from selftrain.config import Resolved, config_dataclass, required


@config_dataclass
class ReportConfig:
    runs: tuple[str, ...] = required("folders of one or more runs", example="runs/first runs/second", positional=True)


@command("report", "what a run found; several runs in one table", "Inspect a run", lambda: {"report": ReportConfig})
def run(settings: Resolved) -> int:
    from selftrain.handover.run_facts import RunFacts
    from selftrain.report.run_report import print_report
    from selftrain.report.several_runs import ReportedRun, compare_runs
    from selftrain.storage import RunFolder

    folders = [RunFolder.open(path) for path in settings[ReportConfig].runs]
    found = [ReportedRun(folder, RunFacts(folder).history) for folder in folders]
    if len(found) == 1:
        print_report(found[0].folder, found[0].history)
    else:
        from rich.console import Console

        Console().print(compare_runs(found))
    return 0
