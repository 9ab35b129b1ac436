"""`selftrain audit`: how far a run's verdicts can be trusted.

Three checkers look at the same answers: our strict judge, our lenient one, and math-verify alone. Where they disagree,
at least one is wrong; how often that is, and examples of it, need no labels. Error rates do: `--to_label FILE` writes
answers for a person to decide, most of them disputed ones, and `--labels FILE` reads the decisions back.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from selftrain.cli.sections import AuditConfig
from selftrain.config import Resolved
from selftrain.errors import RunError
from selftrain.graders.agreement import (
    CHECKERS,
    CheckedAnswer,
    SampledAnswer,
    check_answers,
    choose_to_label,
    disagreements,
    error_rates,
    read_labels,
    share,
    write_rows,
)
from selftrain.report.visible import visible
from selftrain.storage import RunFolder

_COLUMNS = "question, reference, completion, finish_reason, reward"
#: Characters of an example that are shown.
_SHOWN = 300


def run(settings: Resolved) -> int:
    """`selftrain audit`.

    Raises:
        RunError: no run, no answer with a gold in it, or a file that cannot be written.
        DataError: a labelled file that cannot be read, or that holds no label.
    """
    asked = settings[AuditConfig]
    labelled = read_labels(Path(asked.labels)) if asked.labels else []
    folder = RunFolder.open(asked.run)
    if _grader(folder) == "code":
        raise RunError(
            f"{asked.run!r} was judged by running code",
            "An audit holds checkers of mathematical answers against each other.",
            "Look at `held_back_gap` in its report: rewarded programs that fail the tests which give no reward.",
        )
    answers, found = _draw(folder, asked.max_answers, asked.seed)
    checked = check_answers(answers)
    rng = random.Random(f"{asked.seed}/audit")
    if asked.to_label:
        write_rows(Path(asked.to_label), choose_to_label(checked, asked.num_to_label, rng))
    figures = {
        "answers": found,
        "looked_at": len(checked),
        "right": {name: share([row.verdicts[name] is True for row in checked]) for name in CHECKERS},
        "disagreement": disagreements(checked),
        "errors": error_rates(labelled) if labelled else {},
    }
    if asked.json:
        print(json.dumps(figures))
        return 0
    _print(figures, len(labelled))
    _show_examples(checked, asked.examples, rng)
    if asked.to_label:
        print(f"\n{asked.to_label}: set each `label` to true or false, then give the file as --labels")
    return 0


def _grader(folder: RunFolder) -> str:
    """The judge of the run's evaluations; empty where the folder does not say."""
    path = folder.path / "environment.json"
    return str(json.loads(path.read_text("utf-8")).get("grader", {}).get("name", "")) if path.exists() else ""


def _draw(folder: RunFolder, most: int, seed: int) -> tuple[list[SampledAnswer], int]:
    """Answers to problems with a gold, drawn by chance from samples and evaluations, and how many there are."""
    tables = [name for name in ("samples", "evaluations") if any((folder.path / name).glob("*.parquet"))]
    if not tables:
        raise RunError(f"{str(folder.path)!r} holds no answers", "", "give the folder of a run that has sampled some")
    union = " union all ".join(
        f"select {_COLUMNS}, concat_ws('/', '{name}', model, round, problem_id, sample_index, greedy) as id from {name}"
        for name in tables
    )
    labelled = f"from ({union}) where reference is not null"
    ((found,),) = folder.query(f"select count(*) {labelled}").fetchall()
    drawn = folder.query(f"select {_COLUMNS} {labelled} order by md5(concat({seed}, id)), id limit {most}")
    answers = [SampledAnswer(*row) for row in drawn.fetchall()]
    if not answers:
        raise RunError(f"no answer in {str(folder.path)!r} is to a problem with a gold", "nothing to hold it against")
    return answers, found


def _print(figures: Mapping[str, Any], labelled: int) -> None:
    print(f"{figures['looked_at']:,} of {figures['answers']:,} answers, by three checkers; 95 % intervals (Wilson)")
    for name, found in figures["right"].items():
        print(f"  {name} says right: {_told(found)}")
    print("Disagreement:")
    for name, found in figures["disagreement"].items():
        print(f"  {name}: {_told(found)}")
    if not labelled:
        print("Error rates need labels: --to_label FILE writes answers to decide, --labels FILE reads them back.")
        return
    print(f"Error rates, of {labelled:,} labelled answers, each counted as often as it stands for:")
    for name, found in figures["errors"].items():
        print(f"  {name}: {_told(found)}")


def _told(found: Mapping[str, Any]) -> str:
    if not found["of"]:
        return "none to tell"
    low, high = 100 * found["low"], 100 * found["high"]
    return f"{100 * found['share']:.2f} % [{low:.2f}, {high:.2f}], {found['count']:,} of {found['of']:,}"


def _show_examples(checked: Sequence[CheckedAnswer], most: int, rng: random.Random) -> None:
    patterns: dict[tuple[bool | None, ...], list[CheckedAnswer]] = {}
    for row in checked:
        if len({verdict is True for verdict in row.pattern}) > 1:
            patterns.setdefault(row.pattern, []).append(row)
    for pattern, rows in patterns.items():
        says = ", ".join(f"{name} {verdict}" for name, verdict in zip(CHECKERS, pattern, strict=True))
        print(f"\n{says}: {len(rows):,}")
        for row in rng.sample(rows, min(most, len(rows))):
            prediction = row.prediction if len(row.prediction) <= _SHOWN else f"...{row.prediction[-_SHOWN:]}"
            # What a model wrote must not steer the terminal.
            print(visible(f"  gold {row.reference[:_SHOWN]!r}, read {row.extracted_answer!r}, from {prediction!r}"))
