"""Runs on toy models: every file is real, a model is a table of three numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from selftrain.budget import Budget, Stops
from selftrain.data import Parts
from selftrain.engines.toy import ToyEngine
from selftrain.evaluation import Evaluation
from selftrain.grading import open_reader
from selftrain.judges import Judges
from selftrain.learner import Learner
from selftrain.learning.base import Learning
from selftrain.learning.toy import ToyTrainer
from selftrain.methods.base import Method
from selftrain.progress import Progress
from selftrain.record import Record
from selftrain.run import Loop
from selftrain.toy import ToyModel, toy_problems
from selftrain.types import Problem, Response, Score
from selftrain.watch import Watch


def answer_in(text: str) -> str | None:
    return text.rpartition("#### ")[2] if "####" in text else None


def read(responses: Sequence[Response], problems: Mapping[str, Problem] | None = None) -> list[Score]:
    """Reads answers and judges none."""
    return [Score(None, answer_in(r.text)) for r in responses]


def grade(responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
    answers = [answer_in(r.text) for r in responses]
    return [
        Score(float(answer == problems[r.prompt.problem_id].reference), answer)
        for r, answer in zip(responses, answers, strict=True)
    ]


def toy(name: str = "toy", *logits: float, base: str = "base") -> Learner:
    """A learner that says the right sum, one too many, or nothing, as likely as these logits say."""
    model = ToyModel(list(logits)) if logits else ToyModel()
    return Learner(ToyEngine(model, name), ToyTrainer(model), base)


def toy_loop(folder: Path, method: Method, learners: Sequence[Learner] | None = None, **fields: Any) -> Loop:
    """A run without labels but in its evaluation, which `fields` may change in part; 80 problems to learn from."""
    problems = toy_problems(100)
    learners = [toy()] if learners is None else learners
    return Loop(**{
        "method": method, "learners": learners,
        "parts": Parts(tuple(problems[:80]), tuple(problems[80:]), tuple(toy_problems(60, "test"))),
        "judges": Judges(read, read, grade, labelled=False, examiner=open_reader()),
        "learning": Learning(learning_rate=1.0),
        "evaluation": Evaluation(num_generations_eval=2), "watch": Watch(),
        "record": Record.create(folder, {}), "stops": Stops(Budget(), ""),
        "progress": Progress(quiet=True), "seed": 3, "problems_at_once": 512,
    } | fields)  # fmt: skip
