"""Lines about a round for the terminal and log.txt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from selftrain.loop.collapse_monitor import LEAST_SEEN, CollapseMonitor
from selftrain.loop.collect import CollectedRound
from selftrain.loop.probe import Probe
from selftrain.report.going_back import early_stopping_caveat
from selftrain.report.reading import MANY, MORE_ROOM, READABLE
from selftrain.report.round_record import Alarm, RoundRecord, SamplingSummary
from selftrain.types import RIGHT


def probe_lines(number: int, monitor: CollapseMonitor, probes: Mapping[str, Probe]) -> Iterator[str]:
    for model, probe in probes.items():
        peak = monitor.peak_round(model)
        yield f"round {number}: {model}: {monitor.score_name} on the probe {probe.mean:.3f}, best in round {peak}"


def alarm_lines(alarms: Iterable[Alarm]) -> Iterator[str]:
    for alarm in alarms:
        yield f"collapse monitor: {'collapse' if alarm.severe else 'warning'}: {alarm.model}: {alarm.reason}"


def held_back_lines(records: Iterable[RoundRecord]) -> Iterator[str]:
    """How many rewarded programs are right only on the tests that they are rewarded for."""
    for record in records:
        sampling = record.sampling
        if sampling is not None and sampling.held_back_gap is not None:
            yield (
                f"round {record.round}: {record.model}: {sampling.held_back_failed:,} of "
                f"{sampling.held_back_graded:,} rewarded programs fail tests that give no reward "
                f"({100 * sampling.held_back_gap:.1f} %)"
            )


def early_stopping_lines(records: Sequence[RoundRecord], problems: int) -> Iterator[str]:
    """Which epoch a training was left at, where that is not its last."""
    for record in records:
        training = record.training
        if training is not None and training.validation_metric and training.best_epoch < training.epochs:
            best, last = (training.validation_metric[epoch] for epoch in (training.best_epoch, -1))
            yield (
                f"round {record.round}: {record.model}: kept epoch {training.best_epoch} of {training.epochs}, "
                f"validation {best:.3f}, after the last {last:.3f}, over {problems:,} problems"
            )
    if caveat := early_stopping_caveat(records, problems):
        yield f"round {records[0].round}: {caveat}"


def nothing_kept(number: int, collected: CollectedRound) -> str:
    stats = collected.stats.values()
    reasons = sum((stats.drop_reasons for stats in stats), Counter[str]()).most_common()
    return (
        f"round {number} kept none of its {sum(stats.samples for stats in stats):,} samples "
        f"({', '.join(f'{reason}: {count:,}' for reason, count in reasons)}); there is nothing to train on, so the "
        f"weights stay as they are and the run ends here. {_cure([one.summary() for one in stats])}"
    )


def _cure(summaries: Sequence[SamplingSummary]) -> str:
    samples = sum(one.samples for one in summaries)
    cut = sum(one.truncated for one in summaries)
    unread = samples - sum(one.answers_extracted for one in summaries)
    if cut >= MANY * samples:
        return f"{cut:,} were cut off at the length limit: {MORE_ROOM}."
    if unread >= MANY * samples:
        return f"In {unread:,} no answer was found: {READABLE}."
    if solved := sum(one.solved_problems or 0 for one in summaries):
        return (
            f"In {solved:,} problems an answer has a reward of {RIGHT:g} or more: see why it was dropped by `selftrain "
            "samples`, and lower --reward_threshold where rewards do not reach it."
        )
    return "More --num_generations or easier problems may help."


def sight_lines(monitor: CollapseMonitor, probes: Mapping[str, Probe]) -> Iterator[str]:
    """Of a monitor that cannot see a fall, since there is nothing that could fall: said before round 1."""
    for model, probe in probes.items():
        high, count = sum(value >= RIGHT for value in probe.score.values()), len(probe.score)
        if high >= LEAST_SEEN or monitor.config.collapse_watch == "off":
            continue
        unread = probe.signals.get("parse_failure_rate", 0.0)
        cut = probe.signals.get("truncation_rate", 0.0)
        if cut >= MANY or unread >= MANY:
            cure = MORE_ROOM if cut >= MANY else READABLE
        elif high:
            cure = f"--validation_size {-(-count * LEAST_SEEN // high)} would do"
        else:
            cure = "easier problems, a stronger model or more of them (--validation_size) would do"
        yield (
            f"collapse monitor: it is blind to a fall of {model}: {monitor.score_name} in {high} of {count} problems "
            "before round 1, too few for a fall to be told from chance. Until it has risen `best` is a guess, and "
            f"lengths, repetition and unreadable answers alone can stop the run; {cure}"
        )


def collapsed(number: int, num_rounds: int) -> str:
    return (
        f"the run ends here, after round {number} of {num_rounds}: the models collapse; the best round is kept as "
        "`best` (--collapse_watch warn continues)"
    )
