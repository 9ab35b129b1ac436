"""D_val, asked again and again: after each epoch of a training, and of the live weights by the watch."""

from __future__ import annotations

from collections.abc import Sequence

from selftrain.loop.collapse_monitor import MonitorConfig, Probe, ask, consensus, probe
from selftrain.loop.learner import Learner
from selftrain.models.prompts import make_prompts
from selftrain.problems.splits import DataSplits
from selftrain.types import Grade, SamplingParams


class Validator:
    """
    Args:
        grade: judges its answers, where its labels may be looked at; else only reads them.
        labelled: whether they may. Else the untouched models' consensus stands in.
        length: tokens an answer may have.
    """

    def __init__(
        self,
        learners: Sequence[Learner],
        parts: DataSplits,
        grade: Grade,
        monitor: MonitorConfig,
        labelled: bool,
        length: int,
        seed: int,
    ) -> None:
        self._learners, self._grade, self._monitor, self._labelled = learners, grade, monitor, labelled
        self._prompts = make_prompts(parts.validation, parts.few_shot)
        self._length, self._key = length, f"{seed}/probe"
        self._agreed: dict[str, str] | None = None

    def __bool__(self) -> bool:
        return bool(self._prompts)

    def reward(self, learner: Learner) -> float:
        """Mean greedy reward, unjudged answers left out."""
        greedy = SamplingParams(temperature=0.0, max_completion_length=self._length)
        scores = self._grade(learner.sample(self._prompts, 1, greedy, "validation"))
        values = [score.value for score in scores if score.value is not None]
        return sum(values) / len(values) if values else 0.0

    def probe(self) -> dict[str, Probe]:
        """Of each model, label-free where the method is."""
        n, length = self._monitor.probe_generations, self._length
        if self._agreed is None and not self._labelled:
            asked = self._monitor.consensus_generations
            self._agreed = consensus(self._learners, self._prompts, self._grade, asked, length, self._key)
        return {
            learner.name: probe(ask(learner, self._prompts, self._grade, n, length, self._key), self._agreed)
            for learner in self._learners
        }
