"""How long a run will still take, from the seconds of its finished rounds; and what it has used so far."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from selftrain.loop.learner import Learner
from selftrain.loop.plan.memory import peak_memory
from selftrain.loop.plan.shape import RunShape
from selftrain.report.formatting import as_duration
from selftrain.storage import Record

#: Rounds that are looked back on: they get slower or faster as answers grow or shrink.
_BACK = 3
#: Stages of timings.jsonl that each round has after round 0; the others are of those that are probed or evaluated.
_EACH = ("sample", "grade", "train")


class Forecast:
    """
    Args:
        record: of the run, whose plan.json is completed, and whose earlier seconds count, too.
    """

    def __init__(self, shape: RunShape, learners: Sequence[Learner], record: Record) -> None:
        self._shape, self._learners, self._record = shape, learners, record
        #: By stage, then by round.
        self._seconds: defaultdict[str, defaultdict[int, float]] = defaultdict(lambda: defaultdict(float))
        for line in record.folder.rounds():
            self._add(line["round"], line.get("seconds", {}))

    def _add(self, number: int, seconds: Mapping[str, float]) -> None:
        for stage, value in seconds.items():
            self._seconds[stage][number] += value

    def round_ended(self, number: int, seconds: Mapping[str, float]) -> list[str]:
        """Lines for the log, where there is something new to say. Completes plan.json."""
        self._add(number, seconds)
        evaluated, last = number in self._shape.evaluated_rounds, self._shape.method.num_rounds
        left = self._left(number)
        self._record.complete_plan({"after_round": number, "seconds_left": left, **self._used()})
        if number >= last or not (evaluated or number == 1):
            return []
        training = "" if number else ", and the training of each"
        return [f"round {number} took {as_duration(self._took(number))}; about {as_duration(left)} left{training}"]

    def _took(self, number: int) -> float:
        return sum(rounds.get(number, 0.0) for rounds in self._seconds.values())

    def _left(self, number: int) -> float:
        shape, last = self._shape, self._shape.method.num_rounds
        probed, evaluated = set(shape.probed_rounds), set(shape.evaluated_rounds)
        rounds = range(number + 1, last + 1)
        each = sum(map(self._mean, _EACH)) if number else self._sampling()
        probes = self._mean("monitor") * sum(one in probed for one in rounds)
        return each * len(rounds) + probes + self._mean("evaluate") * sum(one in evaluated for one in rounds)

    def _mean(self, stage: str) -> float:
        seconds = [self._seconds[stage][number] for number in sorted(self._seconds[stage])]
        # Round 0 has a consensus and a sweep that no other has.
        recent = (seconds[1:] or seconds)[-_BACK:]
        return sum(recent) / len(recent) if recent else 0.0

    def _sampling(self) -> float:
        """Of a round, at the speed of the last answers."""
        answers = self._shape.problems_per_round * self._shape.method.num_generations
        return sum(answers * (learner.seconds_per_answer or 0.0) for learner in self._learners)

    def _used(self) -> dict[str, Any]:
        """By this process: tokens, and memory at its peak."""
        models = [getattr(learner.trainer, "model", None) for learner in self._learners]
        devices = {str(getattr(model, "device", "cpu")) for model in models}
        return {
            "seconds": sum(sum(rounds.values()) for rounds in self._seconds.values()),
            "sampled_tokens": sum(learner.sampled_tokens for learner in self._learners),
            "memory": sum(map(peak_memory, devices)),
        }
