"""Agreement with published verdicts, on data that the rules were not written from."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from selftrain.graders import MathGrader
from tests.graders.answers import grade_all, problem


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_verifier_conformance(math_grader: MathGrader, data: Path, every: int) -> None:
    lines = (data / "verifier_conformance" / "pairs.jsonl").read_text(encoding="utf-8").splitlines()[::every]
    rows = [json.loads(line) for line in lines]
    problems = [problem(row["gold"], row["id"]) for row in rows]
    scores = grade_all(math_grader, problems, [row["prediction"] for row in rows])
    agreed: Counter[str] = Counter()
    false_positives = []
    for row, score in zip(rows, scores, strict=True):
        agreed[row["tier"]] += score.value == float(row["expected"])
        if score.value and not row["expected"] and row["tier"] not in ("policy", "disputed"):
            false_positives.append(row["id"])
    rates = {tier: agreed[tier] / sum(row["tier"] == tier for row in rows) for tier in ("core", "extended")}
    alone = {tier: by_math_verify(rows, tier) for tier in rates}
    print(f"ours {rates}, math-verify alone {alone}")
    assert false_positives == []
    assert rates["core"] >= max(0.995, alone["core"])
    assert rates["extended"] >= max(0.97, alone["extended"])
    assert max(score.seconds for score in scores) < 30.0, "one of them hung"


def by_math_verify(rows: list[dict[str, Any]], tier: str) -> float:
    """The share of a tier's rows on which math-verify alone agrees; a row it was not run on counts against it."""
    verdicts = [row["math_verify"] == row["expected"] for row in rows if row["tier"] == tier]
    return sum(verdicts) / len(verdicts)


def test_gsm8k_model_solutions(math_grader: MathGrader, data: Path) -> None:
    with gzip.open(data / "gsm8k_model_solutions" / "part_a.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    models = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
    problems = [problem("####" + row["ground_truth"].rpartition("A:")[2], str(i)) for i, row in enumerate(rows)]
    for model in models:
        scores = grade_all(math_grader, problems, [row[model]["solution"] for row in rows])
        assert [score.value for score in scores] == [float(row[model]["is_correct"]) for row in rows]
