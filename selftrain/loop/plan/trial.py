"""A few seconds of a run's own work, timed: its method, its evaluation and its trainer, on few problems.

What it samples and trains is thrown away; the weights of the learners are others afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from typing import Any

from selftrain.evaluation import evaluate
from selftrain.loop.collect import collect_round
from selftrain.loop.learner import Learner
from selftrain.loop.plan.memory import peak_memory
from selftrain.loop.round_loop import RoundLoop
from selftrain.loop.round_record import evaluation_rows, sample_rows
from selftrain.loop.run import Run
from selftrain.models.prompts import make_prompts
from selftrain.training.base import RoundProgress, TrainingHooks, TrainingJob
from selftrain.types import Prompt, Response, Sample, TrainingExample

#: Seconds that one measurement may take, as far as those before tell; it is as many times as large as the last.
BUDGET, GROWTH = 8.0, 4
#: Seconds that are waited for further processes.
PATIENCE = 20.0


@dataclass
class Seen:
    """What some sampling came to."""

    responses: int = 0
    tokens: int = 0
    truncated: int = 0
    seconds: float = 0.0
    #: Of the table that the responses make.
    bytes: float = 0.0

    def count(self, responses: Sequence[Response], fresh: bool) -> None:
        self.responses += len(responses)
        self.tokens += sum(len(response.token_ids) for response in responses)
        self.truncated += sum(response.truncated for response in responses)

    @property
    def length(self) -> float:
        return self.tokens / max(1, self.responses)


@dataclass(frozen=True)
class Collection:
    """What a method made of some problems."""

    #: By model: what it is trained on.
    examples: Mapping[str, Sequence[TrainingExample]]
    samples: Sequence[Sample]

    def to_train_on(self, model: str) -> Sequence[TrainingExample]:
        """Never none: texts that were not kept take as long."""
        responses = [sample.response for sample in self.samples if sample.response.model == model]
        return self.examples[model] or [
            TrainingExample(one.prompt, one.text, one.token_ids, truncated=one.truncated) for one in responses
        ]


@dataclass(frozen=True)
class Growth:
    """What more and more of the same work came to; the last two tell how time grows."""

    seen: list[Seen] = field(default_factory=list)

    @property
    def last(self) -> Seen:
        return self.seen[-1]

    @property
    def slope(self) -> float:
        """Seconds of one more response, in a batch that is not full."""
        last, before = self.last, self.seen[-2] if len(self.seen) > 1 else Seen()
        grown = last.responses - before.responses
        return max(0.0, last.seconds - before.seconds) / grown if grown > 0 else last.seconds / last.responses

    @property
    def may_grow(self) -> bool:
        return self.last.seconds + self.slope * (GROWTH - 1) * self.last.responses <= BUDGET

    def seconds(self, responses: float, at_once: float) -> float:
        """What so many would take.

        Args:
            at_once: responses of one batch. A batch that is not full costs less, but not in proportion; so time is
                extended to a full batch along a line, and from there on in proportion.
        """
        last, full = self.last, min(at_once, responses)
        if last.responses >= full:
            return last.seconds / last.responses * responses
        return (last.seconds + self.slope * (full - last.responses)) / full * responses


@dataclass(frozen=True)
class SamplingTrial:
    growth: Growth
    #: Of the last.
    problems: int
    #: Whether each problem was given all of its samples.
    is_whole: bool
    collected: Collection


@dataclass(frozen=True, kw_only=True)
class TrainingTrial:
    #: Of one step, and of a training besides its steps.
    step_seconds: float
    other_seconds: float
    #: Of one text, prompt included.
    tokens: float


@dataclass
class Trial:
    """Measures a run, whose record is thrown away."""

    run: Run
    #: Bytes of memory, as far as was seen.
    peak: float = 0.0
    #: Responses of the largest batch.
    seen_batch: int = 0
    #: The same of each sampling, and the peak then.
    peaks: list[tuple[int, float]] = field(default_factory=list)
    _tables: int = 0
    _loop: RoundLoop = field(init=False)
    #: Further ones of each model.
    _processes: Sequence[int] = ()

    def __post_init__(self) -> None:
        self._loop = RoundLoop(self.run)
        self._processes = [_start_workers(learner) for learner in self.run.learners]

    @property
    def evaluated(self) -> Sequence[Prompt]:
        return make_prompts(self.run.splits.evaluation, self.run.splits.few_shot)

    @property
    def prompts(self) -> Sequence[Prompt]:
        """Those of the first round."""
        return self._loop.steps.round(1).prompts

    def largest_batch(self, prompts: Sequence[Prompt], n: int) -> int:
        """Responses that an engine would compute as one batch."""
        plans = [learner.engine.plan(prompts, n) for learner in self.run.learners] if prompts and n else []
        return max((len(batch) * n for plan in plans for batch in plan), default=0)

    def memory(self) -> float:
        """The peak of the whole run: what was seen, and what larger batches add, which is extended along a line; and no
        less than the processes are known to come to, since memory that was freed is not given back.
        """
        from selftrain.engines.packed.memory import BESIDE_WEIGHTS, COPIES  # with torch

        settings, splits = self.run.settings, self.run.splits
        evaluated, probed = self.evaluated, make_prompts(splits.validation, splits.few_shot)
        largest = max(
            self.largest_batch(self.prompts, settings.method.num_generations),
            self.largest_batch(evaluated, 1),
            self.largest_batch(evaluated, settings.evaluation.num_generations_eval),
            self.largest_batch(probed, settings.monitor.probe_generations),
        )
        (batch, peak), *smaller = sorted(self.peaks, reverse=True)
        before = next((one for one in smaller if one[0] < batch), None)
        slope = 0.0 if before is None else (peak - before[1]) / (batch - before[0])
        weights = [COPIES * learner.saved_bytes for learner in self.run.learners]
        others = sum(n * (BESIDE_WEIGHTS + one) for n, one in zip(self._processes, weights, strict=True))
        known = BESIDE_WEIGHTS + sum(weights) + others if any(self._processes) else 0.0
        return max(known, self.peak + slope * max(0, largest - self.seen_batch))

    def sampling(self) -> SamplingTrial:
        n = self.run.settings.method.num_generations
        whole = self._loop.steps.round(1)
        size, growth = 1, Growth()
        self._collect(1, 1)  # what is slow the first time only
        while True:
            each = n if size >= 2 * n else 1
            count = min(max(1, size // each), len(whole.problems))
            found, collected = self._collect(count, each)
            growth.seen.append(found)
            is_whole = each == n
            if (is_whole and count == len(whole.problems)) or not growth.may_grow:
                return SamplingTrial(growth, count, is_whole, collected)
            size *= GROWTH

    def _collect(self, problems: int, each: int) -> tuple[Seen, Collection]:
        settings, record = self.run.settings, self.run.context.record
        method: Any = settings.method
        if each != method.num_generations:
            method = replace(method, num_generations=each)
        whole, found, samples = self._loop.steps.round(1), Seen(), list[Sample]()
        by_id = {problem.id: problem for problem in self.run.splits.all}
        some = replace(whole, problems=whole.problems[:problems], prompts=whole.prompts[:problems])
        self._tables += 1
        with ExitStack() as stack, record.writing_samples(self._tables) as put:
            for learner in self.run.learners:
                stack.enter_context(learner.reporting_to(found.count))

            def keep(more: Sequence[Sample]) -> None:
                samples.extend(more)
                put(sample_rows(more, self._tables, by_id))

            began = time.monotonic()
            collected = collect_round(method, some, settings.problems_at_once, keep)
            found.seconds = time.monotonic() - began
        found.bytes = self._size(f"samples/round-{self._tables:04d}.parquet")
        self._look()
        self.peaks.append((self.largest_batch(some.prompts, each), self.peak))
        self.seen_batch = max(self.seen_batch, self.peaks[-1][0])
        return found, Collection(collected.examples, samples)

    def evaluation(self, learner: Learner) -> Growth:
        """More and more problems, with all of their samples."""
        most, size, growth = len(self.run.splits.evaluation), 1, Growth()
        while True:
            count = min(size, most)
            growth.seen.append(self._evaluate(learner, count))
            if count == most or not growth.may_grow:
                return growth
            size *= GROWTH

    def _evaluate(self, learner: Learner, count: int) -> Seen:
        config, splits, found = self.run.settings.evaluation, self.run.splits, Seen()
        task = self._loop.steps.task("evaluation", splits.evaluation, self.run.graders.evaluation)
        began = time.monotonic()
        with learner.reporting_to(found.count):
            results = evaluate(learner, replace(task, prompts=task.prompts[:count]), config)
        found.seconds = time.monotonic() - began
        self._tables += 1
        by_id = {problem.id: problem for problem in splits.evaluation}
        self.run.context.record.write_evaluation(self._tables, evaluation_rows(results, self._tables, by_id))
        found.bytes = self._size(f"evaluations/round-{self._tables:04d}.parquet")
        self._look()
        self.seen_batch = max(self.seen_batch, self.largest_batch(task.prompts[:count], config.num_generations_eval))
        return found

    def scoring(self, learner: Learner, examples: Sequence[TrainingExample]) -> float:
        """Seconds to score one text."""
        some = examples[:32]
        began = time.monotonic()
        learner.logprob([example.prompt for example in some], [example.completion for example in some])
        return (time.monotonic() - began) / len(some)

    def training(self, learner: Learner, examples: Sequence[TrainingExample], count: int) -> TrainingTrial:
        """
        Args:
            examples: repeated where they are fewer than `count`.
            count: examples of one step.
        """
        settings = self.run.settings
        config = replace(settings.training, num_train_epochs=1, early_stopping="off", validation_size=0.0)
        batch, progress = tuple(islice(cycle(examples), count)), RoundProgress(1, settings.method.num_rounds)
        job, ends = TrainingJob(batch, config, "plan", progress), list[float]()
        hooks = TrainingHooks(on_step=lambda *_: ends.append(time.monotonic()))
        began = time.monotonic()
        report = learner.train(job, hooks)
        first = step = ends[-1] - began
        other = time.monotonic() - ends[-1]
        steps = min(6, int(BUDGET / 2 / max(first, 1e-9)))
        if steps > 1:
            ends.clear()
            began = time.monotonic()
            learner.train(replace(job, config=replace(config, num_train_epochs=steps)), hooks)
            step = (ends[-1] - ends[0]) / (steps - 1)
            other = time.monotonic() - began - steps * step
        self._look()
        tokens = report.tokens / max(1, report.examples)
        return TrainingTrial(step_seconds=step, other_seconds=max(0.0, other), tokens=tokens)

    def _size(self, name: str) -> float:
        return (self.run.context.record.folder.path / name).stat().st_size

    def _look(self) -> None:
        models = [getattr(learner.trainer, "model", None) for learner in self.run.learners]
        devices = {str(getattr(model, "device", "cpu")) for model in models}
        self.peak = max(self.peak, sum(peak_memory(device) for device in devices))


def _start_workers(learner: Learner) -> int:
    start: Callable[[float], int] | None = getattr(learner.engine, "start_workers", None)
    return 0 if start is None else start(PATIENCE)
