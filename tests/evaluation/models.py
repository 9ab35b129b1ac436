"""Models for the tests of this folder: the toy with a chosen habit, and a grader of its sums."""

from __future__ import annotations

import re
from collections.abc import Sequence

from selftrain.evaluation import EvalTask
from selftrain.loop.learner import Learner
from selftrain.types import Prompt, Response, Score
from tests.toys.engine import ToyEngine
from tests.toys.model import ToyModel, toy_problems
from tests.toys.trainer import ToyTrainer

PROBLEMS = {p.id: p for p in toy_problems(60)}
PROMPTS = [Prompt(p.id, p.question) for p in PROBLEMS.values()]


def toy(*logits: float, name: str = "toy") -> Learner:
    """A learner that says the right sum, one too many, or nothing, as likely as these logits say."""
    model = ToyModel(list(logits))
    return Learner(ToyEngine(model, name), ToyTrainer(model), "base")


def grade(responses: Sequence[Response]) -> list[Score]:
    return [_score(r.text, PROBLEMS[r.prompt.problem_id].reference) for r in responses]


def _score(text: str, reference: str | None) -> Score:
    found = re.search(r"#### (\d+)", text)
    return Score(float(bool(found) and found[1] == reference), found[1] if found else None)


def read_only(responses: Sequence[Response]) -> list[Score]:
    return [Score(None, score.extracted_answer) for score in grade(responses)]


#: Every prompt, graded.
TASK = EvalTask(PROMPTS, grade, 64, "key")
