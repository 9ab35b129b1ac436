"""The work of `selftrain audit`."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selftrain.errors import RunError
from selftrain.graders.agreement import CHECKERS, CheckedAnswer, SampledAnswer, disagreements, error_rates, share
from selftrain.report.visible import visible
from selftrain.storage import RunFolder

_COLUMNS = "question, reference, completion, finish_reason, reward, prompt"
#: The same as what they are read as: another program may have written the tables.
_TYPED = (
    "question::varchar, reference::varchar, completion::varchar, "
    "case when finish_reason = 'length' then 'length' else 'stop' end, reward::double, prompt::varchar"
)
#: Characters of an example that are shown.
_SHOWN = 300


def sample_responses(run: str, count: int, seed: int) -> tuple[list[SampledAnswer], int]:
    """At most `count` of a run's samples and evaluations with a reference, and how many of those there are.

    Raises:
        RunError: there is none, or they were graded by running code.
    """
    folder = RunFolder.open(run)
    if _grader(folder) == "code":
        raise RunError(
            f"{run!r} was graded by running code",
            "an audit compares checkers of mathematical answers",
            "see `held_back_gap` in its report: rewarded programs that fail the tests which give no reward",
        )
    tables = [name for name in ("samples", "evaluations") if any((folder.path / name).glob("*.parquet"))]
    if not tables:
        raise RunError(f"{run!r} holds no responses", do="give the folder of a run that has sampled some")
    union = " union all ".join(
        f"select {_COLUMNS}, concat_ws('/', '{name}', model, round, problem_id, sample_index, greedy) as id from {name}"
        for name in tables
    )
    with_reference = f"from ({union}) where reference is not null and question is not null and completion is not null"
    ((found,),) = folder.rows(f"select count(*) {with_reference}")
    sampled = folder.rows(f"select {_TYPED} {with_reference} order by md5(concat({seed}, id)), id limit {count}")
    answers = [SampledAnswer(*row) for row in sampled]
    if not answers:
        raise RunError(f"no response in {run!r} is to a problem with a reference", "there is nothing to check against")
    return answers, found


def _grader(folder: RunFolder) -> str:
    """Name of the grader of the run's evaluations; empty where the folder does not say."""
    grader = folder.environment().get("grader")
    return str(grader.get("name", "")) if isinstance(grader, dict) else ""


def figures_of(found: int, checked: Sequence[CheckedAnswer], labelled: Sequence[CheckedAnswer]) -> dict[str, Any]:
    return {
        "answers": found,
        "looked_at": len(checked),
        "right": {name: share([row.verdicts[name] is True for row in checked]) for name in CHECKERS},
        "disagreement": disagreements(checked),
        "errors": error_rates(labelled) if labelled else {},
    }


def as_text(figures: Mapping[str, Any], labelled: int) -> Iterator[str]:
    yield f"{figures['looked_at']:,} of {figures['answers']:,} responses, three checkers; 95 % intervals (Wilson)"
    yield from (f"  {name} says right: {_interval(found)}" for name, found in figures["right"].items())
    yield "Disagreement:"
    yield from (f"  {name}: {_interval(found)}" for name, found in figures["disagreement"].items())
    if not labelled:
        yield "Error rates need labels: --to_label FILE writes responses to label, --labels FILE reads them back."
        return
    yield f"Error rates on {labelled:,} labelled responses, each weighted by the responses it stands for:"
    yield from (f"  {name}: {_interval(found)}" for name, found in figures["errors"].items())


def _interval(found: Mapping[str, Any]) -> str:
    if not found["of"]:
        return "no responses"
    low, high = 100 * found["low"], 100 * found["high"]
    return f"{100 * found['share']:.2f} % [{low:.2f}, {high:.2f}], {found['count']:,} of {found['of']:,}"


def examples_of(checked: Sequence[CheckedAnswer], count: int, rng: random.Random) -> Iterator[str]:
    """At most `count` responses of each kind of disagreement."""
    patterns: dict[tuple[bool | None, ...], list[CheckedAnswer]] = {}
    for row in checked:
        if len({verdict is True for verdict in row.pattern}) > 1:
            patterns.setdefault(row.pattern, []).append(row)
    for pattern, rows in patterns.items():
        says = ", ".join(f"{name} {verdict}" for name, verdict in zip(CHECKERS, pattern, strict=True))
        yield f"\n{says}: {len(rows):,}"
        for row in rng.sample(rows, min(count, len(rows))):
            prediction = row.prediction if len(row.prediction) <= _SHOWN else f"...{row.prediction[-_SHOWN:]}"
            # What a model wrote must not control the terminal.
            yield visible(f"  gold {row.reference[:_SHOWN]!r}, read {row.extracted_answer!r}, from {prediction!r}")
