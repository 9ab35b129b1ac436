"""What a run will cost on this machine: counts of its own code, and a few seconds of its own work."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from selftrain.evaluation.intervals import wilson
from selftrain.loop.plan.growth import BUDGET, Growth, Seen
from selftrain.loop.plan.record import Estimate
from selftrain.loop.plan.shape import RunShape
from selftrain.loop.plan.trial import SamplingTrial, TrainingTrial, Trial
from selftrain.loop.plan.work import Work, work_of
from selftrain.loop.run import Run

#: Problems that are counted for each; what is not a round's samples does not hang on their number.
_COUNTED = 8
#: Share of cut-off answers that is worth a word.
_MANY_CUT = 0.2


def estimate(run: Run, opening: float) -> Estimate:
    """
    Args:
        run: ready to start. It cannot be started afterwards: its models have learned something.
        opening: seconds that it took to load everything.
    """
    trial = Trial(run)
    sampling = trial.sampling()
    growth = sampling.growth
    slow = growth.last.seconds > 4 * BUDGET
    evaluation = {one.name: growth if slow else trial.evaluation(one, growth) for one in run.learners}
    shape = RunShape.of(run)
    works = work_of(shape, prompt_tokens=1, completion_tokens=1, share_right=0.5, trial=_COUNTED)
    others = [work for name, work in works.items() if name != "samples"]
    score = 0.0
    if any(work.scored for work in others):
        learner = run.learners[0]
        score = trial.scoring(learner, sampling.collected.to_train_on(learner.name))
    counts = {name: len(own) / sampling.problems for name, own in sampling.collected.examples.items()}
    training = {}
    for learner in run.learners:
        count = min(shape.training.train_batch_size, math.ceil(counts[learner.name] * shape.problems_per_round) or 1)
        training[learner.name] = trial.training(learner, sampling.collected.to_train_on(learner.name), count)
    return _Estimate(run, shape, works, trial, sampling, evaluation, training, score, opening).estimate()


@dataclass(frozen=True)
class _Estimate:
    run: Run
    shape: RunShape
    works: Mapping[str, Work]
    trial: Trial
    sampling: SamplingTrial
    #: By model.
    evaluation: Mapping[str, Growth]
    training: Mapping[str, TrainingTrial]
    #: Seconds to score a text.
    score: float
    opening: float

    def estimate(self) -> Estimate:
        seen, method = self.sampling.growth.last, self.shape.method
        samples = self._responses * method.num_rounds
        steps = {name: self._steps(name) for name in self.training}
        trained = {name: self._examples(name) * self._epochs * method.num_rounds for name in self.training}
        sampling = self.sampling.growth.seconds(self._responses, self._at_once) * method.num_rounds
        others = {name: self._seconds(work) for name, work in self.works.items() if name != "samples"}
        return Estimate(
            sampled_tokens=samples * seen.length + self._other_responses * self._eval.length,
            trained_tokens=sum(trained[name] * one.tokens for name, one in self.training.items()),
            steps=sum(steps.values()) * method.num_rounds,
            seconds={
                "loading": self.opening,
                "sampling": sampling,
                "training": method.num_rounds
                * sum(one.other_seconds + steps[name] * one.step_seconds for name, one in self.training.items())
                + sum(one.start_seconds for one in self.training.values()),
                **others,
            },
            memory=self.trial.memory(sampling + sum(others.values())),
            disk=self._disk(samples),
            disk_most=self._disk(samples, best_between=self.shape.probed_rounds != self.shape.evaluated_rounds),
            completion_tokens=seen.length,
            kept_share=sum(trained.values()) / self._epochs / samples,
            notes=tuple(self._notes()),
        )

    @property
    def _epochs(self) -> int:
        return self.shape.training.num_train_epochs

    @property
    def _responses(self) -> float:
        """Of a round; ReST-EM stops asking where it has enough."""
        seen, sampling = self.sampling.growth.last, self.sampling
        each = (
            seen.responses / sampling.problems
            if sampling.is_whole
            else self.works["samples"].responses / (self.shape.problems_per_round * self.shape.method.num_rounds)
        )
        return each * self.shape.problems_per_round

    @property
    def _at_once(self) -> float:
        """Responses of a full batch, of all models."""
        return self.trial.largest_batch(self.trial.prompts, self.shape.method.num_generations) * len(self.run.learners)

    def _examples(self, name: str) -> float:
        """Of a round."""
        kept = len(self.sampling.collected.examples[name]) / self.sampling.growth.last.responses
        return kept * self._responses

    def _steps(self, name: str) -> float:
        return math.ceil(self._examples(name) / self.shape.training.train_batch_size) * self._epochs

    @cached_property
    def _eval(self) -> Seen:
        """What was seen of all models together, and the seconds of a whole evaluation in proportion."""
        config, found = self.shape.evaluation, Seen()
        batch = self.trial.largest_batch(self.trial.evaluated, config.num_generations_eval or 1)
        whole = self.shape.eval_problems * (1 + config.num_generations_eval)
        for growth in self.evaluation.values():
            found.responses += growth.last.responses
            found.tokens += growth.last.tokens
            found.bytes += growth.last.bytes
            found.seconds += growth.seconds(whole, batch) / whole * growth.last.responses
        return found

    @property
    def _other_responses(self) -> float:
        return sum(work.responses for name, work in self.works.items() if name != "samples")

    def _seconds(self, work: Work) -> float:
        return work.responses * self._eval.seconds / self._eval.responses + work.scored * self.score

    def _disk(self, samples: float, *, best_between: bool = False) -> float:
        """Weights of all kept rounds, the optimizer where it spans the run, and the tables.

        Args:
            best_between: whether the best round lies between two evaluated ones, so that its weights are one set more.
        """
        run, shape, seen = self.run, self.shape, self.sampling.growth.last
        saved = sum(learner.saved_bytes for learner in run.learners)
        keep = run.context.stops.budget.keep_weights
        saves = len(shape.evaluated_rounds) - 1 + best_between
        rounds = {"all": saves, "last": min(2, saves), "best": 1}[keep]
        state = 2 * saved * (shape.training.optimizer_spans == "run")
        answers = len(shape.models) * shape.eval_problems * (1 + shape.evaluation.num_generations_eval)
        evaluated = answers * len(shape.evaluated_rounds) * self._eval.bytes / self._eval.responses
        return (saved + self._beside_weights) * rounds + state + samples * seen.bytes / seen.responses + evaluated

    @cached_property
    def _beside_weights(self) -> float:
        return sum(self.trial.beside_weights(learner) for learner in self.run.learners)

    def _notes(self) -> Iterator[str]:
        last = self.sampling.growth.last
        if last.responses < min(self._at_once, self._responses):
            yield (
                f"sampling was measured with {last.responses:,} answers at once, and a full batch has "
                f"{self._at_once:,.0f}: its time is an upper bound"
            )
        if (cut := last.truncated / last.responses) > _MANY_CUT:
            limit = self.shape.method.sampling.max_completion_length
            yield f"{100 * cut:.0f} % of the answers were cut off at {limit:,} tokens (--max_completion_length)"
        kept = sum(map(len, self.sampling.collected.examples.values()))
        if not kept:
            yield f"none of {last.responses:,} samples was kept: there may be nothing to train on"
        elif kept < last.responses and self.shape.method.needs_grader:
            # Samples of one problem are alike: as sure as so many problems make it.
            few, most = wilson(kept / last.responses, self.sampling.problems)
            yield (
                f"{kept:,} of {last.responses:,} samples of {self.sampling.problems:,} problems were kept: "
                f"{100 * few:.0f} to {100 * most:.0f} % may be, and the time of training with it"
            )
        yield "answers grow longer or shorter as a model learns, and a collapse ends a run early"
