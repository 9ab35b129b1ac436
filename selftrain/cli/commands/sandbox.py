"""`selftrain sandbox`: tests the sandbox for model-written code on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Literal

from selftrain.cli.command import command
from selftrain.config import Resolved, config_dataclass, setting


@config_dataclass
class SandboxConfig:
    profile: Literal["pure", "files", "procs"] = setting(
        "pure", "what programs may do: 'pure' compute only, 'files' also use a scratch folder, 'procs' start processes"
    )
    json: bool = setting(False, "print as JSON")


@command("sandbox", "test whether model-written code can run safely here", "Tools", lambda: {"sandbox": SandboxConfig})
def run(settings: Resolved) -> int:
    """Exit code 77 where no tier holds, as for a run that needs one."""
    from selftrain.sandbox import SandboxError, self_test, tier_lines

    profile = settings[SandboxConfig].profile
    tier, probes = self_test(profile)
    if settings[SandboxConfig].json:
        print(json.dumps({"profile": profile, "tier": tier, "probes": [asdict(probe) for probe in probes]}))
    else:
        print(*tier_lines(tier, profile, probes), sep="\n")
    return SandboxError.exit_code if tier is None else 0
