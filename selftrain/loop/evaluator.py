"""How good the models are after a round: each alone, all together, and each against itself before round 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from selftrain.evaluation import (
    EvalConfig,
    EvalResult,
    Sweep,
    against_best_decoded,
    compare,
    evaluate,
    measure,
    measure_gv_gap,
    sweep,
)
from selftrain.graders import canonical
from selftrain.loop.learner import Learner
from selftrain.loop.progress import Progress
from selftrain.loop.round_record import as_plain, evaluation_rows
from selftrain.loop.team import ask_team, majority_of
from selftrain.models.prompts import make_prompts
from selftrain.problems.splits import DataSplits
from selftrain.storage import Record
from selftrain.types import Grade, Prompt

#: The names under which the figures of all models together stand among those of the models.
AGGREGATE, MAJORITY = "aggregate", "majority"


@dataclass
class Evaluator:
    """Asks the evaluation problems. It decides nothing: no round, no setting is chosen by what is seen here.

    Args:
        length: tokens an answer may have.
        key: names the random streams. One for all rounds: every model is asked with the same luck, which makes
            the pairs closer.
    """

    learners: Sequence[Learner]
    parts: DataSplits
    grade: Grade
    evaluation: EvalConfig
    record: Record
    progress: Progress
    length: int
    key: str
    #: The untouched models' answers, by model, which every round is compared with.
    base: dict[str, list[EvalResult]] = field(default_factory=dict)
    sweeps: dict[str, Sweep] = field(default_factory=dict)

    @cached_property
    def prompts(self) -> list[Prompt]:
        return make_prompts(self.parts.evaluation, self.parts.few_shot)

    def of_round(self, number: int) -> dict[str, dict[str, Any]]:
        """What a line of rounds.jsonl says of each model, and of several together as "aggregate" and "majority"."""
        answered = {learner.name: self._ask(learner, number) for learner in self.learners}
        figures = {name: self._figures(name, one) for name, one in answered.items()}
        for learner in self.learners:
            figures[learner.name] |= self._decoded_best(learner, number, answered[learner.name])
            if self.evaluation.gv_gap and self.parts.can_be_graded:
                figures[learner.name]["gv_gap"] = self._gv_gap(learner, number)
        if len(self.learners) > 1:
            together = {AGGREGATE: self._aggregate(number), MAJORITY: majority_of(list(answered.values()), canonical)}
            figures |= {name: self._figures(name, one) for name, one in together.items()}
        rows = [row for one in answered.values() for row in evaluation_rows(one, number, self._problems)]
        self.record.write_evaluation(number, rows)
        return figures

    @cached_property
    def _problems(self) -> dict[str, Any]:
        return {problem.id: problem for problem in self.parts.evaluation}

    def _figures(self, name: str, answered: Sequence[EvalResult]) -> dict[str, Any]:
        base = self.base.get(name)
        figures: dict[str, Any] = {"metrics": as_plain(measure(answered))}
        if base is None:
            self.base[name] = list(answered)
        else:
            figures["against_base"] = as_plain(compare(base, answered))
        return figures

    def _ask(self, learner: Learner, number: int) -> list[EvalResult]:
        title = f"round {number}: evaluating {learner.name}"
        return ask_all(learner, self.prompts, self.grade, self.evaluation, self.length, self.key, self.progress, title)

    def _decoded_best(self, learner: Learner, number: int, answered: Sequence[EvalResult]) -> dict[str, Any]:
        """The untouched model at its best sampling temperature, and every round against that."""
        if not self.evaluation.temperature_sweep or not self.parts.can_be_graded:
            return {}
        if number == 0:
            n = max(1, self.evaluation.num_generations_eval)
            self.sweeps[learner.name] = sweep(
                learner, self.prompts, self.grade, self.evaluation.temperature_sweep, n, self.length, self.key,
                self.evaluation.top_p_eval,
            )  # fmt: skip
            return {"sweep": asdict(self.sweeps[learner.name])}
        return {"against_best_decoded": as_plain(against_best_decoded(self.sweeps[learner.name], answered))}

    def _gv_gap(self, learner: Learner, number: int) -> dict[str, Any]:
        with self.progress.phase(f"round {number}: generator-verifier gap of {learner.name}", 1, "models") as phase:
            gap = measure_gv_gap(learner, self.prompts, self.grade, self.evaluation, self.length, f"{self.key}/gap")
            phase.advance()
        return asdict(gap)

    def _aggregate(self, number: int) -> list[EvalResult]:
        """The last answer where the models answer in turn, each model last equally often."""
        total = len(self.prompts) * len(self.learners)
        with self.progress.phase(f"round {number}: evaluating them in turn", total, "answers") as phase:
            answered = ask_team(self.learners, self.prompts, self.grade, self.length, f"{self.key}/aggregate")
            phase.advance(total)
        return answered


def ask_all(
    learner: Learner,
    prompts: Sequence[Prompt],
    grade: Grade,
    evaluation: EvalConfig,
    max_completion_length: int,
    key: str,
    progress: Progress,
    title: str,
) -> list[EvalResult]:
    """Has a model answer every prompt, greedily and at random, and says how it goes."""
    with progress.phase(title, len(prompts) * (1 + evaluation.num_generations_eval), "answers") as phase:
        learner.on_unit = lambda responses: phase.advance(len(responses))
        answered = evaluate(learner, prompts, grade, evaluation, max_completion_length, key)
        learner.on_unit = None
    return answered
