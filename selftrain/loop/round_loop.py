"""The loop of a run: sample, grade, weigh, train, probe, evaluate, record, and again. The same for all methods.

It can be killed anywhere. Run again over the same folder it reads what is finished from the record, takes from the
answer cache what was sampled or graded since the last saved weights, and continues.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from statistics import fmean

from selftrain.loop import messages
from selftrain.loop.best_round import BestRoundTracker
from selftrain.loop.checkpoints import CheckpointManager
from selftrain.loop.collapse_monitor import CollapseMonitor
from selftrain.loop.forecast import Forecast
from selftrain.loop.plan.shape import RunShape
from selftrain.loop.probe import Probe
from selftrain.loop.round_record import FinishedRound, RoundOutcome, RoundRecorder
from selftrain.loop.round_steps import RoundSteps
from selftrain.loop.run import Observer, Run
from selftrain.loop.run_status import RunStatus
from selftrain.report.history import RunHistory
from selftrain.report.round_record import RoundRecord, ValidatedBy, read_rounds

#: Bytes that take more than a second to write.
_SLOW = 1 << 29


class RoundLoop:
    """One run of one method.

    Round 0 belongs to the loop: the base models are always evaluated, or no gain could be seen.
    """

    def __init__(self, run: Run, observers: Sequence[Observer] = ()) -> None:
        self._run, self._settings, self._observers = run, run.settings, observers
        self._record, self._progress = run.context.record, run.context.progress
        self._checkpoints = CheckpointManager(
            self._record, run.learners, run.context.stops, optimizer_spans=run.settings.training.optimizer_spans
        )
        self.steps = RoundSteps(run, self._checkpoints, observers)
        score: ValidatedBy = "reward" if run.graders.labelled else "consensus"
        validated_by = score if self.steps.validator else None
        self._monitor = CollapseMonitor(run.settings.monitor, score)
        self._best = BestRoundTracker(validated_by, lambda number: self._record.drop(number, "weights"))
        self._forecast = Forecast(RunShape.of(run), run.learners, self._record)
        self._status = RunStatus(self._forecast, self.steps.seconds, run.settings.method.num_rounds)
        self._recorder = RoundRecorder(
            run.learners, self._record.folder, validated_by, unsafe=run.graders.evaluation_grader.warning
        )

    def run(self) -> RunHistory:
        """All rounds. Ends early, without an error, after a round that kept no sample, or when the models collapse.

        Raises:
            StoppedError: it was told to stop, or its budget is used up.
        """
        splits, num_rounds = self._run.splits, self._settings.method.num_rounds
        self._progress.status = self._status
        self._record.write_problems(
            {"train": splits.train, "validation": splits.validation, "evaluation": splits.evaluation}
        )
        # Round 0 is evaluated again even if it is finished: later rounds are compared with its responses, all cached.
        self._round(0)
        if self._record.stored_round(1) is not None:
            self._progress.say("loading the newest weights ...")
        restored = self._checkpoints.restore()
        for number in range(1, num_rounds + 1):
            finished = self._restored_round(number, restored) if number <= restored else self._round(number)
            if finished.stop_reason:
                self._progress.say(finished.stop_reason)
                break
            self._run.context.stops.round_ended(number, num_rounds)
        self._evaluate_best()
        best = replace(self._best.decide(), validation_problems=len(splits.validation))
        self._checkpoints.drop_needless_weights(num_rounds, best.headline_round)
        return RunHistory(read_rounds(self._record.folder), best)

    def _round(self, number: int) -> FinishedRound:
        steps, checkpoints, self._status.number = self.steps, self._checkpoints, number
        collected = steps.collect(number) if number else None
        reports = (checkpoints.load_trained(number) or steps.train(number, collected)) if collected else {}
        trained = any(reports.values())
        evaluated = not trained or self._is_evaluated(number)
        if trained and evaluated:
            if sum(learner.saved_bytes for learner in self._run.learners) > _SLOW:
                self._progress.say(f"saving the weights of round {number} ...")
            checkpoints.save(number, reports)
        probes = steps.probe(number) if evaluated or number % self._settings.monitor.probe_rounds == 0 else {}
        self._status.validated(number, mean_score(probes))
        alarms = self._monitor.check(number, probes)
        if number == 0:
            self._progress.say_all(messages.sight_lines(self._monitor, probes))
        else:
            self._progress.say_all(messages.probe_lines(number, self._monitor, probes))
            self._progress.say_all(messages.alarm_lines(alarms))
        collapsed = self._monitor.stops_run(alarms)
        evaluated = evaluated or collapsed
        save = partial(checkpoints.save, number, reports)
        if trained or number == 0:
            # A round that trained nothing has the weights of an earlier one.
            self._best.add(number, mean_score(probes), evaluated=evaluated, save=save)
        if trained and collapsed:
            save()
        outcome = RoundOutcome(
            number,
            collected=collected,
            reports=reports,
            probes=probes,
            alarms=alarms,
            evaluated=steps.evaluate(number) if evaluated else {},
        )
        return self._finish(outcome, collapsed=collapsed)

    def _is_evaluated(self, number: int) -> bool:
        return self._settings.evaluation.evaluates(number, self._settings.method.num_rounds)

    def _finish(self, outcome: RoundOutcome, *, collapsed: bool) -> FinishedRound:
        number, stop_reason = outcome.number, ""
        if outcome.collected is not None and not outcome.trained:
            stop_reason = messages.nothing_kept(number, outcome.collected)
        elif collapsed:
            stop_reason = messages.collapsed(number, self._settings.method.num_rounds)
        finished = FinishedRound(self._recorder.records(outcome), outcome.probes, stop_reason)
        self._progress.say_all(messages.held_back_lines(finished.records))
        self._progress.say_all(messages.early_stopping_lines(finished.records, len(self._run.splits.validation)))
        finished = FinishedRound.from_journal(self._record.finish_round(number, finished.to_journal()))
        self._record.write_timings(number, self.steps.seconds)
        self._progress.say_all(self._forecast.round_ended(number, self.steps.seconds))
        self.steps.seconds.clear()
        self._checkpoints.round_ended(number, outcome.trained)
        self._checkpoints.drop_needless_weights(number, self._best.best_trained)
        self._show(f"round-{number:04d}", finished.records)
        return finished

    def _evaluate_best(self) -> None:
        """The best round may lie between two evaluations; its weights were kept, and are evaluated at the end."""
        number = self._best.unevaluated
        if number is None:
            return
        self._checkpoints.load(number)
        self._progress.say(f"round {number} was the best on the probe: evaluating it")
        records = self._recorder.late_records(number, self.steps.evaluate(number, remembered_as="late"))
        self._record.finish_late([record.to_dict() for record in records])
        self._show("late", records)

    def _show(self, step: str, records: Sequence[RoundRecord]) -> None:
        for observer in self._observers:
            observer.see(step, records)

    # -- rounds that were finished by an earlier process

    def _restored_round(self, number: int, restored: int) -> FinishedRound:
        """A round at or before the restored weights. What was lost of it is made again where that is possible."""
        lost = self._record.invalidated(number)
        finished = self._remake(number, lost) if lost else None
        if lost:
            self._checkpoints.load(restored)
        for what in sorted(lost):
            gone = what in self._record.invalidated(number)
            end = "cannot be made again: the weights it needs are not saved" if gone else "made again"
            self._progress.say(f"round {number}: {what} {end}")
        return finished or self._recall(number)

    def _remake(self, number: int, lost: set[str]) -> FinishedRound | None:
        """A lost evaluation from the round's own weights; all else from those of the round before."""
        if "evaluations" in lost and self._checkpoints.rewind(number, to_train=False):
            self.steps.evaluate(number)
        if self._record.invalidated(number) and self._checkpoints.rewind(number - 1, to_train=True):
            return self._round(number)
        return None

    def _recall(self, number: int) -> FinishedRound:
        """A round from the journal: only the collapse monitor and the choice of the best round need to see it."""
        stored = self._record.stored_round(number)
        assert stored is not None
        finished = FinishedRound.from_journal(stored)
        self._monitor.check(number, finished.probes)
        self._status.validated(number, mean_score(finished.probes))
        if finished.trained:
            score = mean_score(finished.probes)
            self._best.add(number, score, evaluated=finished.evaluated, save=lambda: None)
        self._run.context.stops.count_tokens(finished.tokens)
        self._checkpoints.drop_needless_weights(number, self._best.best_trained)
        return finished


def mean_score(probes: Mapping[str, Probe]) -> float | None:
    """Over the models; None where they were not probed."""
    return fmean(probe.mean for probe in probes.values()) if probes else None
