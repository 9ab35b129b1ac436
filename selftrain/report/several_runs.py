"""Several runs in one table: each against its own base model, and against the first run where problems agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from selftrain.evaluation.compare import paired
from selftrain.evaluation.results import Comparison
from selftrain.report.findings import headline_findings, holm
from selftrain.report.formatting import difference, p_value, percent
from selftrain.report.history import RunHistory
from selftrain.report.visible import visible
from selftrain.storage import RunFolder
from selftrain.types import RIGHT

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class ReportedRun:
    folder: RunFolder
    history: RunHistory


@dataclass(frozen=True)
class _Row:
    run: str
    model: str
    round: int
    #: None where its base or the round was not evaluated.
    gain: Comparison | None
    #: None of the first run, and where no evaluation problem is shared.
    beside: Comparison | None


def compare_runs(runs: Sequence[ReportedRun]) -> Table:
    """One line for each model of each run: the round that its run reports.

    Each p is Holm-corrected for all comparisons in its column, so picking the best line is no longer luck alone.
    """
    from rich import box
    from rich.table import Table

    first_answers = _headline_answers(runs[0])
    rows = [row for run in runs for row in _rows(run, None if run is runs[0] else first_answers)]
    first = visible(runs[0].folder.path.name)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("run", "model", "round", "base", "now", "against its base", f"against {first}"):
        table.add_column(heading, overflow="fold")
    gains, besides = (_cells(column) for column in ([row.gain for row in rows], [row.beside for row in rows]))
    for row, gain, beside in zip(rows, gains, besides, strict=True):
        shares = ("–", "–") if row.gain is None else (percent(row.gain.base), percent(row.gain.new))
        table.add_row(visible(row.run), visible(row.model), str(row.round), *shares, gain, beside)
    table.caption_justify = "left"
    table.caption = "percent right; paired differences with 95 % intervals; p is corrected (Holm) for all of its column"
    return table


def _rows(run: ReportedRun, others: Mapping[str, float] | None) -> Iterator[_Row]:
    """
    Args:
        others: the answers of the run to compare with.
    """
    found = headline_findings(run.history)
    for model in run.history.models:
        finding = found[model][0] if found.get(model) else None
        number = finding.record.round if finding else run.history.headline_round or 0
        beside = None
        if others is not None and len(run.history.models) == 1:
            own = _greedy(run.folder, number)
            both = sorted(others.keys() & own.keys())
            beside = paired("greedy", others, own, both) if both else None
        yield _Row(run.folder.path.name, model, number, finding.primary.comparison if finding else None, beside)


def _headline_answers(run: ReportedRun) -> dict[str, float] | None:
    """None of several models, which have each their own."""
    if len(run.history.models) != 1:
        return None
    findings = [one for found in headline_findings(run.history).values() for one in found[:1]]
    return _greedy(run.folder, findings[0].record.round if findings else 0)


def _greedy(folder: RunFolder, number: int) -> dict[str, float]:
    """Question -> whether its greedy answer was right."""
    rows = folder.rows(
        f"select question, reward >= {RIGHT} from evaluations "
        f"where greedy and reward is not null and round = {number:d}"
    )
    return {question: float(right) for question, right in rows}


def _cells(column: Sequence[Comparison | None]) -> list[str]:
    corrected = iter(holm([one.p_value for one in column if one is not None]))
    return ["–" if one is None else _cell(one, next(corrected)) for one in column]


def _cell(one: Comparison, p: float) -> str:
    return f"{difference(one)}, {p_value(p)}, {one.problems:,} problems"
