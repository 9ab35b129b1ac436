"""`selftrain samples`: a run's samples in SQL."""

from __future__ import annotations

import json
import math

from selftrain.cli.command import command
from selftrain.config import Resolved, config_dataclass, required, setting


@config_dataclass
class SamplesConfig:
    run: str = required("folder of the run", example="runs/first", positional=True)
    sql: str = setting(
        "select model, round, count(*) as drawn, count(*) filter (kept) as kept, avg(reward) as mean_reward "
        "from samples group by all order by all",
        "query over the tables samples, evaluations, changes, problems and rounds",
        positional=True,
    )
    json: bool = setting(False, "print rows as JSON, one per line")


@command("samples", "query a run's samples with SQL", "Inspect a run", lambda: {"samples": SamplesConfig})
def run(settings: Resolved) -> int:
    """
    Raises:
        RunError: no run, a wrong query, or a damaged file.
    """
    from selftrain.report.visible import visible
    from selftrain.storage import RunFolder
    from selftrain.storage.query import Query

    config = settings[SamplesConfig]
    query = Query(RunFolder.open(config.run).path, config.sql)
    names, rows = query.columns, query.rows()
    if config.json:
        for row in rows:
            print(as_json(dict(zip(names, row, strict=True))))
        return 0
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Text, not markup: what a model wrote, or a column's name, must not control the terminal.
    table = Table()
    for name in names:
        table.add_column(Text(visible(name)))
    for row in rows:
        table.add_row(*(Text(visible(str(value))) for value in row))
    Console().print(table)
    return 0


def as_json(value: object) -> str:
    """One line of strict JSON for any value of DuckDB; what acts without being seen is escaped."""
    from selftrain.report.visible import seen

    text = json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)
    return text if seen(text) else "".join(c if seen(c) else json.dumps(c)[1:-1] for c in text)


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
