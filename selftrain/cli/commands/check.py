"""`selftrain check`: verifies and repairs the files of a run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from selftrain.cli.command import command
from selftrain.config import Resolved, config_dataclass, required, setting


@config_dataclass
class CheckConfig:
    run: str = required("folder of the run", example="runs/first", positional=True)
    repair: bool = setting(False, "repair what can be repaired; damaged files are moved to quarantine, never deleted")
    json: bool = setting(False, "print as JSON")


@command("check", "verify the files of a run, or repair them", "Inspect a run", lambda: {"check": CheckConfig})
def run(settings: Resolved) -> int:
    """Exit code 65 where something is damaged and was not repaired."""
    from selftrain.report.visible import visible
    from selftrain.storage import check_run, repair_run

    config = settings[CheckConfig]
    findings = (repair_run if config.repair else check_run)(Path(config.run))
    if config.json:
        print(json.dumps([asdict(finding) for finding in findings]))
    elif not findings:
        print(f"{config.run}: every file is intact")
    else:
        for finding in findings:
            kind = "DAMAGED" if finding.is_damage else "note   "
            # What would be done, and no more than that.
            when = "" if config.repair else "with --repair: "
            print(f"{kind} {visible(finding.file)} {finding.problem}; {when}{finding.remedy}")
    return 0 if config.repair or not any(finding.is_damage for finding in findings) else 65
