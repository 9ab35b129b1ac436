"""The page's section on what a run cost: tokens and seconds by round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selftrain.report.figure_rows import spread
from selftrain.report.formatting import as_bytes, as_duration, number, round_name, short
from selftrain.report.history import RunHistory
from selftrain.report.html_tables import section, table
from selftrain.report.markup import Markup
from selftrain.report.round_record import RoundRecord

#: In the order of a round.
_STAGES = ("sample", "grade", "train", "monitor", "evaluate")


def cost(history: RunHistory, evaluated: Mapping[int, int], happened: Mapping[str, Any]) -> Markup:
    """
    Args:
        evaluated: round -> tokens of the answers to its evaluation problems.
        happened: what plan.json says that the run has come to.
    """
    by_round: dict[int, list[RoundRecord]] = {}
    for record in history.records:
        by_round.setdefault(record.round, []).append(record)
    timed = dict.fromkeys(stage for record in history.records for stage in record.seconds)
    stages = [stage for stage in _STAGES if stage in timed] + [stage for stage in timed if stage not in _STAGES]
    if not stages:
        return Markup("")
    shown = spread(by_round, keep=[history.best_round])
    rows = {round_name(one): _row(by_round[one], stages, evaluated.get(one, 0)) for one in shown}
    whole = _row(history.records, stages, sum(evaluated.values()))
    rows |= {"whole run": whole} if len(by_round) > 1 else {}
    headings = [
        "",
        *(f"tokens {what}" for what in ("sampled", "trained", "evaluated")),
        *(f"{one}, s" for one in stages),
    ]
    cells = [
        [name, *(short(n) if n else "–" for n in row[:3]), *(number(seconds, ",.1f") for seconds in row[3:])]
        for name, row in rows.items()
    ]
    note = _note(whole[-1] or 0.0, whole[0] or 0, happened)
    if len(shown) < len(by_round):
        note += f" {len(shown)} of {len(by_round)} rounds have a row."
    return section("What it cost", note, table("Cost by round", [*headings, "all, s"], cells))


def _row(records: Sequence[RoundRecord], stages: Sequence[str], evaluated: int) -> list[float | None]:
    seconds = {stage: [r.seconds[stage] for r in records if stage in r.seconds] for stage in stages}
    return [
        sum(one.sampling.tokens for one in records if one.sampling),
        sum(one.training.tokens * one.training.epochs for one in records if one.training),
        evaluated,
        *(sum(found) if found else None for found in seconds.values()),
        sum(sum(found) for found in seconds.values()),
    ]


def _note(seconds: float, sampled: float, happened: Mapping[str, Any]) -> str:
    text = f"Its rounds took {as_duration(seconds)}: {seconds / 3600:.3g} machine hours, times the price of one."
    tokens, memory = happened.get("sampled_tokens"), happened.get("memory")
    if isinstance(tokens, int | float) and tokens > sampled:
        text += f" With the answers to probes, sweeps and the gap, {short(tokens)} tokens were sampled."
    if isinstance(memory, int | float):
        text += f" At most {as_bytes(memory)} of memory."
    return text
