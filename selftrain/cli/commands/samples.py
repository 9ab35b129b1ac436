"""`selftrain samples`: a run's samples in SQL."""

from __future__ import annotations

import json

from selftrain.cli.command import command
from selftrain.config import Resolved, config_dataclass, required, setting


@config_dataclass
class SamplesConfig:
    run: str = required("folder of the run", example="runs/first", positional=True)
    sql: str = setting(
        "select model, round, count(*) as drawn, count(*) filter (kept) as kept, avg(reward) as mean_reward "
        "from samples group by all order by all",
        "query over the tables samples, evaluations, problems and rounds",
        positional=True,
    )
    json: bool = setting(False, "print rows as JSON, one per line")


@command("samples", "query a run's samples with SQL", "Inspect a run", lambda: {"samples": SamplesConfig})
def run(settings: Resolved) -> int:
    from selftrain.report.visible import visible
    from selftrain.storage import RunFolder

    config = settings[SamplesConfig]
    found = RunFolder.open(config.run).query(config.sql)
    names = found.columns
    if config.json:
        for row in found.fetchall():
            print(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, default=str))
        return 0
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*names)
    for row in found.fetchall():
        # Text, not markup: what a model wrote must not control the terminal.
        table.add_row(*(Text(visible(str(value))) for value in row))
    Console().print(table)
    return 0
