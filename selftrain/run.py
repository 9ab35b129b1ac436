"""The loop: draw, collect, learn, evaluate, record. One for all methods."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from selftrain.data import Parts
from selftrain.evaluation import RIGHT, Answered, Comparison, Estimate, Evaluation, compare, evaluate, measure
from selftrain.learner import Learner
from selftrain.learning.base import Learning, LearningReport
from selftrain.methods.base import Method
from selftrain.progress import Progress
from selftrain.prompts import make_prompts
from selftrain.record import RunFolder, sample_row
from selftrain.types import Grade, Lessons, Problem, Prompt, Response, Round, Sample, Sampling, Score

GradeProblems = Callable[[Sequence[Response], Mapping[str, Problem]], list[Score]]


@dataclass
class Loop:
    """One run of one method.

    Round 0 belongs to the loop: the untouched model is always measured, or no gain could be seen.
    """

    method: Method
    learners: Sequence[Learner]
    parts: Parts
    #: Judges what is sampled for data, and D_val.
    grade: GradeProblems
    #: Judges evaluations. Another one where the first is a control: a control must not mark its own work.
    grade_evaluation: GradeProblems
    learning: Learning
    evaluation: Evaluation
    folder: RunFolder
    progress: Progress
    seed: int

    def __post_init__(self) -> None:
        self._problems = {problem.id: problem for problem in self.parts.all}
        self._seconds: defaultdict[str, float] = defaultdict(float)
        #: The untouched models' answers to the evaluation problems, which every round is compared with.
        self._base: dict[str, list[Answered]] = {}

    def run(self) -> list[dict[str, Any]]:
        """All rounds; gives back the lines of rounds.jsonl.

        Ends early, without an error, after a round that kept nothing: there is nothing to learn from.
        """
        parts = ("train", "validation", "evaluation")
        self.folder.write_problems({part: getattr(self.parts, part) for part in parts})
        lines = [self._record(learner, 0, None, None) for learner in self.learners]
        for number in range(1, self.method.num_rounds + 1):
            now = self._draw(number)
            lessons = self._collect(now)
            reports = {learner.name: self._learn(learner, lessons, number) for learner in self.learners}
            lines += [self._record(learner, number, lessons, reports[learner.name]) for learner in self.learners]
            if not any(reports.values()):
                self.progress.say(_nothing_kept(number, lessons))
                break
        return lines

    def _draw(self, number: int) -> Round:
        problems, wanted = self.parts.train, self.method.problems_per_round
        now = Round(number, problems, (), self.learners, self._grade, self.seed)
        if wanted is not None and wanted < len(problems):
            problems = tuple(now.rng("draw").sample(problems, wanted))
        if not self.method.needs_judge:
            problems = tuple(replace(p, reference=None, solution=None, columns={}) for p in problems)
        return replace(now, problems=problems, prompts=tuple(make_prompts(problems, self.parts.shots)))

    def _collect(self, now: Round) -> Lessons:
        with self._timed("sample"), self._watched(f"round {now.number}: sampling", now):
            lessons = self.method.collect(now)
        self._seconds["sample"] -= self._seconds["grade"]
        rows = (sample_row(s, now.number, self._reference(s)) for s in lessons.samples)
        self.folder.write_samples(now.number, rows)
        return lessons

    def _learn(self, learner: Learner, lessons: Lessons, number: int) -> LearningReport | None:
        examples = lessons.examples[learner.name]
        if not examples:
            return None
        total = math.ceil(len(examples) / self.learning.train_batch_size) * self.learning.num_train_epochs
        with self._timed("learn"), self.progress.phase(f"round {number}: training", total, "steps") as phase:
            return learner.learn(
                examples,
                self.learning,
                number,
                f"{self.seed}/round {number}/{learner.name}",
                yardstick=(lambda: self._validate(learner)) if self.parts.validation else None,
                on_step=lambda done, _, loss: phase.advance(1, f"loss {loss:.3f}"),
            )

    def _validate(self, learner: Learner) -> float:
        """Mean greedy reward on D_val, unjudged answers left out."""
        greedy = Sampling(temperature=0.0, max_completion_length=self.method.sampling.max_completion_length)
        prompts = make_prompts(self.parts.validation, self.parts.shots)
        scores = self._grade(learner.sample(prompts, 1, greedy, "validation"))
        values = [score.value for score in scores if score.value is not None]
        return sum(values) / len(values) if values else 0.0

    def _record(
        self, learner: Learner, number: int, lessons: Lessons | None, report: LearningReport | None
    ) -> dict[str, Any]:
        """Saves the weights, measures them and writes the round's line."""
        if report is not None:
            self.folder.save_weights(number, learner.save)
        answered = self._evaluate(learner, number)
        base = self._base.setdefault(learner.name, answered)
        line: dict[str, Any] = {
            "round": number,
            "model": learner.name,
            "weights": str(self.folder.weights(number).relative_to(self.folder.path)) if report else learner.base,
            "metrics": as_plain(measure(answered)),
        }
        if lessons is not None:
            line["sampling"] = _sampling_facts([s for s in lessons.samples if s.response.model == learner.name])
            line["against_base"] = as_plain(compare(base, answered))
        if report is not None:
            line["learning"] = asdict(report)
        if self.parts.validation:
            line["validation"] = (
                report.yardstick[report.best_epoch] if report and report.yardstick else self._validate(learner)
            )
        line["seconds"] = {what: round(seconds, 2) for what, seconds in self._seconds.items()}
        self._seconds.clear()
        self.folder.append_round(line)
        return line

    def _evaluate(self, learner: Learner, number: int) -> list[Answered]:
        length = self.method.sampling.max_completion_length
        prompts = make_prompts(self.parts.evaluation, self.parts.shots)
        with self._timed("evaluate"):
            # One key for all rounds: every model is asked with the same luck, which makes the pairs closer.
            answered = ask_all(
                learner, prompts, self._grade_evaluation, self.evaluation, length, f"{self.seed}/evaluation",
                self.progress, f"round {number}: evaluating",
            )  # fmt: skip
        self.folder.write_evaluation(number, evaluation_rows(answered, number, self._problems))
        return answered

    def _reference(self, sample: Sample) -> str | None:
        return self._problems[sample.response.prompt.problem_id].reference

    def _grade(self, responses: Sequence[Response]) -> list[Score]:
        with self._timed("grade"):
            return self.grade(responses, self._problems)

    def _grade_evaluation(self, responses: Sequence[Response]) -> list[Score]:
        with self._timed("grade"):
            return self.grade_evaluation(responses, self._problems)

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self._seconds[what] += time.monotonic() - began

    @contextmanager
    def _watched(self, title: str, now: Round) -> Iterator[None]:
        """Counts the answers that the learners give, whatever the method asks."""
        expected = len(now.prompts) * getattr(self.method, "num_generations", 1) * len(self.learners)
        with self.progress.phase(title, expected, "answers") as phase:
            for learner in self.learners:
                learner.on_unit = lambda responses: phase.advance(len(responses))
            yield
            for learner in self.learners:
                learner.on_unit = None


def ask_all(
    learner: Learner,
    prompts: Sequence[Prompt],
    grade: Grade,
    evaluation: Evaluation,
    max_completion_length: int,
    key: str,
    progress: Progress,
    title: str,
) -> list[Answered]:
    """Has a model answer every prompt, greedily and at random, and says how it goes."""
    with progress.phase(title, len(prompts) * (1 + evaluation.num_generations_eval), "answers") as phase:
        learner.on_unit = lambda responses: phase.advance(len(responses))
        answered = evaluate(learner, prompts, grade, evaluation, max_completion_length, key)
        learner.on_unit = None
    return answered


def evaluation_rows(answered: Sequence[Answered], number: int, problems: Mapping[str, Problem]) -> list[dict[str, Any]]:
    """Rows of the table `evaluations`."""
    rows = []
    for one in answered:
        reference = problems[one.problem_id].reference
        greedy = [] if one.greedy is None else [one.greedy]
        rows += [sample_row(s, number, reference, greedy=True) for s in greedy]
        rows += [sample_row(s, number, reference) for s in one.sampled]
    return rows


def as_plain(figures: Mapping[str, Estimate] | Mapping[str, Comparison]) -> dict[str, dict[str, Any]]:
    """Metrics or comparisons as they stand in rounds.jsonl."""
    return {name: asdict(one) for name, one in figures.items()}


def _sampling_facts(samples: Sequence[Sample]) -> dict[str, Any]:
    values = [s.score.value for s in samples if s.score.value is not None]
    solved = {s.response.prompt.problem_id for s in samples if s.score.value is not None and s.score.value >= RIGHT}
    return {
        "drawn": len(samples),
        "kept": sum(s.kept for s in samples),
        "why_not": dict(Counter(s.why_not for s in samples if s.why_not is not None)),
        "answers_read": sum(s.score.answer is not None for s in samples),
        "mean_reward": sum(values) / len(values) if values else None,
        "problems_with_one_right": len(solved),
        "problems": len({s.response.prompt.problem_id for s in samples}),
        "tokens": sum(len(s.response.token_ids) for s in samples),
    }


def _nothing_kept(number: int, lessons: Lessons) -> str:
    fates = Counter(str(sample.why_not) for sample in lessons.samples).most_common()
    return (
        f"round {number} kept none of its {len(lessons.samples):,} samples "
        f"({', '.join(f'{why}: {count:,}' for why, count in fates)}); there is nothing to learn from, so the weights "
        "stay as they are and the run ends here. More --num_generations or easier problems may help."
    )
