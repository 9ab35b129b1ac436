"""How far a judge can be trusted: three checkers on the same answers, and a person on some of them.

checked = check(rows)                                  strict, lenient and math-verify alone
disagreements(checked)                                 shares with Wilson's 95 % intervals
write_rows(path, to_label(checked, 100, rng))          a person sets `label` in each line
error_rates(read_labels(path))                         false positives and negatives of each checker
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from selftrain.errors import DataError, RunError
from selftrain.evaluation.intervals import wilson
from selftrain.graders import MathGrader
from selftrain.graders.math.worker import MathWorker
from selftrain.types import FinishReason, Problem, Prompt, Response

CHECKERS = ("strict", "lenient", "math_verify")


@dataclass(frozen=True)
class Checked:
    """An answer and what three checkers say of it; None where one has no verdict.

    `weight` is how many of the answers looked at one row of the file to label stands for.
    """

    question: str
    reference: str
    prediction: str
    extracted_answer: str | None
    strict: bool | None
    lenient: bool | None
    math_verify: bool | None
    #: What the run's own judge gave.
    reward: float | None
    weight: float = 1.0
    label: bool | None = None

    @property
    def kind(self) -> tuple[bool | None, ...]:
        return tuple(getattr(self, name) for name in CHECKERS)


def check(rows: Sequence[Mapping[str, Any]]) -> list[Checked]:
    """Puts each row before the three checkers.

    Args:
        rows: with `question`, `reference`, `completion`, `finish_reason` and `reward`.
    """
    problems = {str(at): Problem(str(at), row["question"], row["reference"]) for at, row in enumerate(rows)}
    responses = [_response(str(at), row["completion"], row["finish_reason"]) for at, row in enumerate(rows)]
    with MathGrader() as grader, MathGrader(strictness="lenient") as lenient_grader:
        strict = grader.grade(responses, problems)
        lenient = lenient_grader.grade(responses, problems)
    worker = MathWorker()
    try:
        alone = [worker.alone(row["reference"], row["completion"]) for row in rows]
    finally:
        worker.close()
    return [
        Checked(
            row["question"], row["reference"], row["completion"], ours.extracted_answer, _verdict(ours.value),
            _verdict(kind.value), theirs, row["reward"],
        )
        for row, ours, kind, theirs in zip(rows, strict, lenient, alone, strict=True)
    ]  # fmt: skip


def _response(id: str, text: str, finish_reason: FinishReason) -> Response:
    return Response(Prompt(id, ""), "", 0, text, (), 0.0, finish_reason, "", 0)


def _verdict(value: float | None) -> bool | None:
    return None if value is None else value > 0


def disagreements(checked: Sequence[Checked]) -> dict[str, dict[str, Any]]:
    """For each two checkers the share of answers of which only one says "right", and for the run's own rewards."""
    found = {
        f"{one} right, {other} not": share([getattr(r, one) is True and getattr(r, other) is not True for r in checked])
        for one in CHECKERS
        for other in CHECKERS
        if one != other
    }
    rewarded = [row for row in checked if row.reward is not None and row.strict is not None]
    changed = [bool(row.reward) != row.strict for row in rewarded]
    return {**found, "reward in the run is not the strict verdict": share(changed)}


def share(hits: Sequence[bool], weights: Sequence[float] = ()) -> dict[str, Any]:
    """A share with Wilson's 95 % interval, at Kish's effective number of rows where they have weights."""
    weights = weights or [1.0] * len(hits)
    if not hits:
        return {"count": 0, "of": 0}
    total = sum(weights)
    seen = sum(w for hit, w in zip(hits, weights, strict=True) if hit) / total
    low, high = wilson(seen, total**2 / sum(w * w for w in weights))
    return {"count": sum(hits), "of": len(hits), "share": seen, "low": low, "high": high}


def error_rates(labelled: Sequence[Checked]) -> dict[str, dict[str, Any]]:
    """For each checker three rates, each row counting as many answers as it stands for."""
    rates = {}
    for name in CHECKERS:
        rows = [(getattr(row, name) is True, row) for row in labelled if getattr(row, name) is not None]
        for rate, of, is_error in (
            ("false positives: of wrong answers, judged right", [r for r in rows if not r[1].label], True),
            ("false negatives: of right answers, judged wrong", [r for r in rows if r[1].label], False),
        ):
            rates[f"{name}, {rate}"] = share([right is is_error for right, _ in of], [r.weight for _, r in of])
        right = [row for says, row in rows if says]
        swallowed = share([not row.label for row in right], [row.weight for row in right])
        rates[f"{name}, of answers judged right, wrong"] = swallowed
    return rates


def to_label(checked: Sequence[Checked], number: int, rng: random.Random) -> list[Checked]:
    """Rows for a person to label: from every kind of verdicts the same number, as far as there are so many.

    Disputed answers are rare and tell most; what a row stands for is kept as its `weight`, so rates stay those of all.
    """
    kinds: defaultdict[tuple[bool | None, ...], list[Checked]] = defaultdict(list)
    for row in checked:
        kinds[row.kind].append(row)
    chosen: list[Checked] = []
    # The rarest first: what they leave unused is shared by the others.
    for left, rows in zip(range(len(kinds), 0, -1), sorted(kinds.values(), key=len), strict=True):
        take = min(len(rows), max(1, (number - len(chosen)) // left))
        weight = len(rows) / take
        chosen += [replace(row, weight=weight) for row in rng.sample(rows, take)]
    rng.shuffle(chosen)
    return chosen


def write_rows(path: Path, rows: Sequence[Checked]) -> None:
    """JSON lines, `label` null in each.

    Raises:
        RunError: the file is there already (it may hold labels), or cannot be written.
    """
    try:
        with path.open("x", encoding="ascii") as file:
            file.writelines(json.dumps(asdict(row)) + "\n" for row in rows)
    except OSError as error:
        raise RunError(f"cannot write {str(path)!r}: {error.strerror}", "", "give another --to_label") from error


def read_labels(path: Path) -> list[Checked]:
    """The rows whose `label` is true or false; those still null are left out.

    Raises:
        DataError: the file cannot be read, a line is not as it was written, or no line has a label.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {str(path)!r}: {error}", "", "check --labels") from error
    rows = [_read_label(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    labelled = [row for row in rows if row.label is not None]
    if not labelled:
        raise DataError(f"no line of {str(path)!r} has a label", "all are null", "set `label` to true or false")
    return labelled


def _read_label(path: Path, number: int, line: str) -> Checked:
    place = f"line {number} of {str(path)!r}"
    try:
        row = Checked(**json.loads(line))
    except (ValueError, TypeError, RecursionError) as error:
        names = ", ".join(field.name for field in fields(Checked))
        raise DataError(f"{place} is not as it was written: {error}", f"Expected {names}.", "") from error
    verdicts = (row.label, *row.kind)
    if any(verdict is not None and not isinstance(verdict, bool) for verdict in verdicts):
        raise DataError(f"{place}: label is {row.label!r}", "Expected true, false or null.", "mend that line")
    if isinstance(row.weight, bool) or not isinstance(row.weight, (int, float)) or not 0 < row.weight < 1e12:
        raise DataError(f"{place}: weight is {row.weight!r}", "Expected the number that stood there.", "mend that line")
    return row
