"""Collects a round: from its problems to what each model is to be trained on, some problems at a time.

Samples go into the table of samples and into statistics, and are released: memory holds those of some problems, and
of all others only the training examples.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from selftrain.methods.base import Method
from selftrain.report.round_record import SamplingSummary
from selftrain.types import RIGHT, Collected, Round, Sample, TrainingExample


class SampleStats:
    """Statistics of one model's samples of a round, added up some problems at a time."""

    def __init__(self) -> None:
        self.drop_reasons: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        #: Samples of the problem that has the fewest.
        self._fewest: int | None = None
        #: Over the first, second, ... samples of all problems: the sum of their rewards, and how many have one.
        self._rewards: defaultdict[int, float] = defaultdict(float)
        self._graded: Counter[int] = Counter()

    @property
    def samples(self) -> int:
        return self._counts["samples"]

    def add(self, samples: Sequence[Sample]) -> None:
        by_problem: Counter[str] = Counter()
        for sample in samples:
            place = by_problem[sample.response.prompt.problem_id]
            by_problem[sample.response.prompt.problem_id] += 1
            if sample.score.value is not None:
                self._rewards[place] += sample.score.value
                self._graded[place] += 1
        if by_problem:
            fewest = min(by_problem.values())
            self._fewest = fewest if self._fewest is None else min(self._fewest, fewest)
        held_back = [s.score.extra_scores["held_back"] for s in samples if "held_back" in s.score.extra_scores]
        self.drop_reasons.update(sample.drop_reason for sample in samples if sample.drop_reason is not None)
        self._counts.update(
            samples=len(samples),
            kept=sum(s.kept for s in samples),
            problems=len(by_problem),
            solved=len({s.response.prompt.problem_id for s in samples if s.score.is_right}),
            extracted=sum(s.score.extracted_answer is not None for s in samples),
            tokens=sum(len(s.response.token_ids) for s in samples),
            truncated=sum(s.response.truncated for s in samples),
            held_back_graded=len(held_back),
            held_back_failed=sum(score < RIGHT for score in held_back),
        )

    def summary(self) -> SamplingSummary:
        # The mean reward is over as many samples of each problem as all have: problems that are not solved often
        # enough yet may have more.
        places = range(self._fewest or 0)
        graded = sum(self._graded[place] for place in places)
        counts, held_back = self._counts, self._counts["held_back_graded"]
        return SamplingSummary(
            samples=self.samples,
            kept=counts["kept"],
            drop_reasons=dict(self.drop_reasons),
            answers_extracted=counts["extracted"],
            mean_reward=sum(self._rewards[place] for place in places) / graded if graded else None,
            solved_problems=counts["solved"] if graded else None,
            problems=counts["problems"],
            tokens=counts["tokens"],
            mean_length=counts["tokens"] / self.samples if self.samples else None,
            truncated=counts["truncated"],
            held_back_graded=held_back or None,
            held_back_failed=counts["held_back_failed"] if held_back else None,
            held_back_gap=counts["held_back_failed"] / held_back if held_back else None,
        )


class CollectedRound:
    """What a method collected in a round, without the samples. Its attributes are by model."""

    def __init__(self, names: Sequence[str]) -> None:
        self.stats = {name: SampleStats() for name in names}
        self.examples: dict[str, list[TrainingExample]] = {name: [] for name in names}
        self.train_temperature: float | None = None
        self.metrics: dict[str, float] = {}

    def add(self, collected: Collected) -> None:
        for name, stats in self.stats.items():
            stats.add([sample for sample in collected.samples if sample.response.model == name])
            self.examples[name] += collected.examples[name]
        self.train_temperature = collected.train_temperature
        self.metrics |= collected.metrics


def collect_round(
    method: Method, round: Round, problems_at_once: int, put: Callable[[Sequence[Sample]], None]
) -> CollectedRound:
    """
    Args:
        put: is given all samples, in the order of the problems, to be stored outside of memory.
    """
    result = CollectedRound([learner.name for learner in round.learners])
    for part in _parts(round, problems_at_once) if method.collects_by_problem else (round,):
        collected = method.collect(part)
        put(collected.samples)
        result.add(collected)
    return result


def _parts(round: Round, size: int) -> Iterator[Round]:
    for start in range(0, len(round.problems), size):
        some = slice(start, start + size)
        yield replace(round, problems=round.problems[some], prompts=round.prompts[some])
