"""A round of a method from its problems to what is learnt, in parts where that is the same.

Samples go into the table of samples and into figures, and are let go of: memory holds those of one part, and of all
others only what a model is to learn.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from selftrain.methods.base import Method
from selftrain.types import RIGHT, Collected, Round, Sample, TrainingExample


class SampleStats:
    """Figures of one model's samples of a round, from those of some problems at a time."""

    def __init__(self) -> None:
        self.drop_reason: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        #: Draws of the problem that has the fewest.
        self._every: int | None = None
        #: Of the first, second, ... draws of all problems: the sum of their rewards, and how many have one.
        self._rewards: defaultdict[int, float] = defaultdict(float)
        self._graded: Counter[int] = Counter()

    @property
    def drawn(self) -> int:
        return self._counts["drawn"]

    def add(self, samples: Sequence[Sample]) -> None:
        seen: Counter[str] = Counter()
        for sample in samples:
            place = seen[sample.response.prompt.problem_id]
            seen[sample.response.prompt.problem_id] += 1
            if sample.score.value is not None:
                self._rewards[place] += sample.score.value
                self._graded[place] += 1
        if seen:
            self._every = min(seen.values()) if self._every is None else min(self._every, *seen.values())
        solved = {s.response.prompt.problem_id for s in samples if s.score.is_right}
        asked = [s.score.extra_scores["held_back"] for s in samples if "held_back" in s.score.extra_scores]
        self.drop_reason.update(sample.drop_reason for sample in samples if sample.drop_reason is not None)
        self._counts.update(
            drawn=len(samples), kept=sum(s.kept for s in samples), problems=len(seen), solved=len(solved),
            answers_read=sum(s.score.extracted_answer is not None for s in samples),
            tokens=sum(len(s.response.token_ids) for s in samples),
            truncated=sum(s.response.truncated for s in samples),
            held_back_asked=len(asked), held_back_failed=sum(verdict < RIGHT for verdict in asked),
        )  # fmt: skip

    def facts(self) -> dict[str, Any]:
        # Of the draws that every problem had: further ones are only made for problems that are not yet solved often
        # enough.
        every = range(self._every or 0)
        graded = sum(self._graded[place] for place in every)
        counts = self._counts
        return {
            "drawn": self.drawn,
            "kept": counts["kept"],
            "drop_reason": dict(self.drop_reason),
            "answers_read": counts["answers_read"],
            "mean_reward": sum(self._rewards[place] for place in every) / graded if graded else None,
            "problems_with_one_right": counts["solved"] if graded else None,
            "problems": counts["problems"],
            "tokens": counts["tokens"],
            "mean_length": counts["tokens"] / self.drawn if self.drawn else None,
            "truncated": counts["truncated"],
            **self._held_back(),
        }

    def _held_back(self) -> dict[str, Any]:
        """How many rewarded samples the tests that give no reward were asked about, and how many failed them."""
        asked, failed = self._counts["held_back_asked"], self._counts["held_back_failed"]
        if not asked:
            return {}
        return {"held_back_asked": asked, "held_back_failed": failed, "held_back_gap": failed / asked}


class CollectedRound:
    """What a round came to, without its samples."""

    def __init__(self, names: Sequence[str]) -> None:
        self.stats = {name: SampleStats() for name in names}
        self.examples: dict[str, list[TrainingExample]] = {name: [] for name in names}
        self.train_temperature: float | None = None
        self.metrics: dict[str, float] = {}

    def add(self, lessons: Collected) -> None:
        for name, stats in self.stats.items():
            stats.add([sample for sample in lessons.samples if sample.response.model == name])
            self.examples[name] += lessons.examples[name]
        self.train_temperature = lessons.train_temperature
        self.metrics |= lessons.metrics


def collect_round(
    method: Method, now: Round, problems_at_once: int, put: Callable[[Sequence[Sample]], None]
) -> CollectedRound:
    """
    Args:
        put: is given all samples, in the order of the problems, and keeps them where memory does not count.
    """
    collected = CollectedRound([learner.name for learner in now.learners])
    for part in _parts(now, problems_at_once) if method.collects_by_problem else (now,):
        lessons = method.collect(part)
        put(lessons.samples)
        collected.add(lessons)
    return collected


def _parts(now: Round, size: int) -> Iterator[Round]:
    for start in range(0, len(now.problems), size):
        some = slice(start, start + size)
        yield replace(now, problems=now.problems[some], prompts=now.prompts[some])
