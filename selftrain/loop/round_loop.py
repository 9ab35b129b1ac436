"""The loop: draw, collect, learn, watch, evaluate, record. One for all methods.

It can be killed anywhere. Run again over the same folder it takes what is finished from the record, asks again what it
had asked since the last saved weights, which costs nothing, and goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from selftrain.evaluation import EvalConfig, EvalTask
from selftrain.loop.best_round import BestRoundTracker
from selftrain.loop.checkpoints import CheckpointManager
from selftrain.loop.collapse_monitor import CollapseMonitor, MonitorConfig
from selftrain.loop.collect import CollectedRound, collect_round
from selftrain.loop.evaluator import Evaluator
from selftrain.loop.learner import Learner
from selftrain.loop.probe import Probe
from selftrain.loop.progress import Progress, Stopwatch
from selftrain.loop.round_record import (
    held_back_lines,
    late_lines,
    nothing_kept,
    round_lines,
    sample_rows,
    stopped_by_the_watch,
    watch_lines,
)
from selftrain.loop.run_graders import GradeProblems, RunGraders
from selftrain.loop.stopping import StopController
from selftrain.loop.validator import Validator
from selftrain.methods.base import Method
from selftrain.models.prompts import make_prompts
from selftrain.problems.splits import DataSplits, problems_of_round
from selftrain.storage import Record, Told, cached_grade, merged
from selftrain.training.base import RoundProgress, TrainingConfig, TrainingHooks, TrainingJob, TrainingReport
from selftrain.types import Grade, Problem, Response, Round, Sampler, Score


@dataclass
class RoundLoop:
    """One run of one method.

    Round 0 belongs to the loop: the untouched models are always measured, or no gain could be seen.
    """

    method: Method
    learners: Sequence[Learner]
    parts: DataSplits
    graders: RunGraders
    training: TrainingConfig
    evaluation: EvalConfig
    monitor: MonitorConfig
    record: Record
    progress: Progress
    seed: int
    stops: StopController
    #: Of a round, where a method collects by problem.
    problems_at_once: int
    #: Answers with the weights from before round 1, in the order of `learners`; loaded when first asked for.
    base_models: Callable[[], Sequence[Sampler]] = tuple

    def __post_init__(self) -> None:
        self._problems = {problem.id: problem for problem in self.parts.all}
        self._seconds = Stopwatch()
        #: D_val is scored by its labels where they may be looked at, else by the untouched models' consensus.
        self._labelled = self.graders.labelled
        self._collapse_monitor = CollapseMonitor(
            self.monitor, "reward" if self._labelled else "agreement with the consensus"
        )
        self._peak = BestRoundTracker(lambda number: self.record.drop(number, "weights"))
        validation = self._task(self.parts.validation, self.graders.validation, "probe")
        self._validator = Validator(self.learners, validation, self.monitor, self._labelled)
        self._checkpoints = CheckpointManager(self.record, self.learners, self.training, self.stops)
        self._evaluator = Evaluator(
            learners=self.learners,
            splits=self.parts,
            task=self._task(self.parts.evaluation, self.graders.evaluation, "evaluation"),
            config=self.evaluation,
            record=self.record,
            progress=self.progress,
        )

    def _task(self, problems: Sequence[Problem], grade: GradeProblems, key: str) -> EvalTask:
        prompts = make_prompts(problems, self.parts.few_shot)
        length = self.method.sampling.max_completion_length
        return EvalTask(prompts, self._timed_grade(grade), length, f"{self.seed}/{key}")

    def run(self) -> list[dict[str, Any]]:
        """All rounds; gives back the lines of rounds.jsonl.

        Ends early, without an error, after a round that kept nothing, or when the watch says stop.

        Raises:
            StoppedError: it was asked to stop, or its budget is used up.
        """
        self.record.write_problems({part: getattr(self.parts, part) for part in ("train", "validation", "evaluation")})
        # Round 0 is asked again even if it is finished: from its answers, all remembered, later rounds are compared.
        lines = [*self._round(0).lines]
        restored = self._checkpoints.restore()
        for number in range(1, self.method.num_rounds + 1):
            if number <= restored:
                told = self._made_again(number, restored) or self._retell(number)
            else:
                told = self._round(number)
            lines += told.lines
            if told.ends:
                self.progress.say(told.ends)
                break
            self.stops.round_ended(number, self.method.num_rounds)
        return merged([*lines, *self._measure_peak()])

    def _round(self, number: int) -> Told:
        collected, reports = (None, {}) if number == 0 else self._gathered_and_reports(number)
        learnt = any(reports.values())
        due = number in (0, self.method.num_rounds) or number % self.evaluation.eval_rounds == 0 or not learnt
        if due and learnt:
            self._checkpoints.save(number, reports)
        probes = self._probe(number) if due or number % self.monitor.probe_rounds == 0 else {}
        alarms = self._collapse_monitor.look(number, probes)
        stopped = self.monitor.collapse_watch == "stop" and any(alarm.severe for alarm in alarms)
        self.progress.say_all(watch_lines(number, self._collapse_monitor, probes, alarms) if number else ())
        if learnt or number == 0:
            # Else these are the weights of an earlier round, and nothing of this one is saved.
            self._peak.see(number, probes, due or stopped, lambda: self._checkpoints.save(number, reports))
        if stopped and learnt:
            self._checkpoints.save(number, reports)
        measured = self._examine(number) if due or stopped else {}
        ends = stopped_by_the_watch(number, self.method.num_rounds) if stopped else ""
        if collected is not None and not learnt:
            ends = nothing_kept(number, collected)
        lines = round_lines(
            number, self.learners, collected, reports, probes, alarms, measured, self.record.folder.weights_name,
            "reward" if self._labelled else "consensus", self.graders.evaluation_grader.warning,
        )  # fmt: skip
        self.progress.say_all(held_back_lines(number, lines))
        told = self.record.finish_round(number, Told(tuple(lines), {n: asdict(p) for n, p in probes.items()}, ends))
        self.record.write_seconds(number, self._seconds)
        self._seconds.clear()
        self._checkpoints.round_ended(number, learnt)
        return told

    def _retell(self, number: int) -> Told:
        """A round that lies before the weights which were loaded: only the watch has to hear of it."""
        told = self.record.told(number)
        assert told is not None
        probes = {model: Probe(**one) for model, one in told.probes.items()}
        self._collapse_monitor.look(number, probes)
        if any("training" in line for line in told.lines):
            self._peak.see(number, probes, any("metrics" in line for line in told.lines), lambda: None)
        self.stops.count(sum(line.get("sampling", {}).get("tokens", 0) for line in told.lines))
        return told

    def _made_again(self, number: int, restored: int) -> Told | None:
        """A round before the weights which were loaded, where something of it was lost: an evaluation is asked again of
        its weights, all else made again from those of the round before. None where it is only to be told.
        """
        lost, told = self.record.lost(number), None
        if not lost:
            return None
        if "evaluations" in lost and self._checkpoints.go_to(number, to_learn=False):
            self._examine(number)
        if self.record.lost(number) and self._checkpoints.go_to(number - 1):
            told = self._round(number)
        self._checkpoints.go_to(restored)
        for what in sorted(lost):
            gone = what in self.record.lost(number)
            end = "cannot be made again: the weights it came of are not saved" if gone else "made again"
            self.progress.say(f"round {number}: {what} {end}")
        return told

    def _gathered_and_reports(self, number: int) -> tuple[CollectedRound, dict[str, TrainingReport | None]]:
        now = self._draw(number)
        with (
            self._seconds.timing("sample"),
            self._watched(f"round {number}: sampling", now),
            self.record.remembering(number, "samples"),
            self.record.samples(number) as put,
        ):
            collected = collect_round(
                self.method, now, self.problems_at_once, lambda some: put(sample_rows(some, number, self._problems))
            )
        self._seconds["sample"] -= self._seconds["grade"]
        reports = self._checkpoints.learnt(number)
        return collected, reports or {
            learner.name: self._learn(learner, collected, number) for learner in self.learners
        }

    def _draw(self, number: int) -> Round:
        problems = problems_of_round(self.parts.train, self.method.problems_per_round, number, self.seed)
        return Round(
            number, problems, tuple(make_prompts(problems, self.parts.few_shot)), self.learners,
            self._timed_grade(self.graders.samples), self.seed, self.method.num_rounds, self.base_models,
            self.graders.scores_independently,
        )  # fmt: skip

    def _learn(self, learner: Learner, collected: CollectedRound, number: int) -> TrainingReport | None:
        examples, training = collected.examples[learner.name], self.training
        if not examples:
            return None
        if collected.train_temperature is not None:
            training = replace(training, train_temperature=collected.train_temperature)
        total = math.ceil(len(examples) / training.train_batch_size) * training.num_train_epochs
        title = f"round {number}: training {learner.name}"
        with self._seconds.timing("train"), self.progress.phase(title, total, "steps") as phase:
            job = TrainingJob(
                examples, training, f"{self.seed}/round {number}/{learner.name}",
                RoundProgress(number, self.method.num_rounds),
            )  # fmt: skip
            validator = self._validator if self._labelled else None
            hooks = TrainingHooks(
                validation_metric=partial(validator.reward, learner) if validator else None,
                on_step=lambda done, _, loss: phase.advance(done - phase.done, f"loss {loss:.3f}"),
                checkpoints=self._checkpoints.of_training(number, learner.name),
            )
            return learner.train(job, hooks)

    def _probe(self, number: int) -> dict[str, Probe]:
        if not self._validator:
            return {}
        with self._seconds.timing("monitor"), self.record.remembering(number, "probe"):
            return self._validator.probe()

    def _examine(self, number: int) -> dict[str, dict[str, Any]]:
        with self._seconds.timing("evaluate"), self.record.remembering(number, "evaluation"):
            return self._evaluator.evaluate_round(number)

    def _measure_peak(self) -> list[dict[str, Any]]:
        """Where the best round lies between two evaluations, its weights were kept, and are measured now."""
        number = self._peak.unmeasured
        if number is None:
            return []
        self._checkpoints.load(number)
        self.progress.say(f"round {number} was the best on the probe: measuring it")
        with self.record.remembering(number, "late"):
            measured = self._evaluator.evaluate_round(number)
        lines = late_lines(number, self.learners, measured, self.record.folder.weights_name)
        self.record.finish_late(lines)
        return lines

    def _timed_grade(self, grade: GradeProblems) -> Grade:
        def timed(responses: Sequence[Response]) -> list[Score]:
            with self._seconds.timing("grade"):
                return grade(responses, self._problems)

        return cached_grade(self.record.answer_cache, timed)

    @contextmanager
    def _watched(self, title: str, now: Round) -> Iterator[None]:
        """Counts the answers that the learners give, whatever the method asks."""
        expected = len(now.prompts) * getattr(self.method, "num_generations", 1) * len(self.learners)
        with self.progress.phase(title, expected, "answers") as phase, ExitStack() as reporting:

            def count(responses: Sequence[Response]) -> None:
                phase.advance(len(responses))
                self.stops.count(sum(len(response.token_ids) for response in responses))

            for learner in self.learners:
                reporting.enter_context(learner.reporting_to(count))
            yield
        for learner in self.learners:
            self.progress.say_all(learner.engine_changes())
