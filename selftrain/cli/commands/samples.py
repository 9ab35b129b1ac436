"""`selftrain samples`: a run's samples in SQL, or to be browsed."""

from __future__ import annotations

import json
import math
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from selftrain.cli.command import command
from selftrain.config import Resolved, config_dataclass, required, setting
from selftrain.errors import RunError, SettingsError

if TYPE_CHECKING:
    from selftrain.storage import RunFolder


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
    browse: bool = setting(
        False, "browse the answers in the terminal: filter, search, before and after, the history of a problem"
    )


@command("samples", "query a run's samples with SQL", "Inspect a run", lambda: {"samples": SamplesConfig})
def run(settings: Resolved) -> int:
    """
    Raises:
        RunError: no run, a wrong query, or a damaged file.
        SettingsError: there is nothing to browse with.
    """
    from selftrain.report.visible import visible
    from selftrain.storage import RunFolder
    from selftrain.storage.query import Query

    config = settings[SamplesConfig]
    folder = RunFolder.open(config.run)
    if config.browse:
        return _browse(folder)
    query = Query(folder.path, config.sql)
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


def _browse(folder: RunFolder) -> int:
    from selftrain.report.browsing import Browsing

    if find_spec("textual") is None:
        raise SettingsError(
            "browse needs textual, which is not installed",
            "it is an optional dependency",
            "pip install 'selftrain[browse]'; or query the tables, or open their Parquet files (docs/run_folder.md)",
        )
    # It draws on standard error.
    if not (sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()):
        raise SettingsError("browse needs a terminal", "input or output is a file or a pipe", "leave --browse out")
    browsing = Browsing(folder)
    if not browsing.views():
        raise RunError(f"{folder.path} has no answers yet", "its first evaluation is not done", "wait for it")
    from selftrain.cli.browse import Browser

    if (error := Browser(browsing).run()) is not None:
        raise error
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
