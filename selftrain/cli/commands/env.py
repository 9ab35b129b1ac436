"""`selftrain env`: versions and hardware, for bug reports."""

from __future__ import annotations

import json

from selftrain.cli.command import command
from selftrain.config import Resolved, config_dataclass, setting


@config_dataclass
class EnvConfig:
    json: bool = setting(False, "print as JSON")


@command("env", "print what a bug report needs", "Tools", lambda: {"env": EnvConfig})
def run(settings: Resolved) -> int:
    from selftrain.storage.environment import environment

    facts = environment()
    if settings[EnvConfig].json:
        print(json.dumps(facts))
        return 0
    for name, value in facts.items():
        print(f"{name}: {', '.join(f'{k} {v}' for k, v in value.items()) if isinstance(value, dict) else value}")
    return 0
