"""`selftrain schema`: what a file for --config may hold, as JSON schema, for editors and checkers."""

from __future__ import annotations

import json

from selftrain.cli.command import all_commands, command
from selftrain.config import Resolved, config_dataclass, json_schema, setting


@config_dataclass
class SchemaConfig:
    method: str = setting(
        "rest-em", "method or other command whose settings the file holds", positional=True,
        choices=lambda: sorted(all_commands()),
    )  # fmt: skip


@command("schema", "JSON schema of a file for --config, for editors", "Tools", lambda: {"schema": SchemaConfig})
def run(settings: Resolved) -> int:
    found = all_commands()[settings[SchemaConfig].method]
    title = f"Settings of selftrain {found.name}"
    print(json.dumps(json_schema(found.sections(), title=title, profiles=(*found.profiles,)), indent=2))
    return 0
