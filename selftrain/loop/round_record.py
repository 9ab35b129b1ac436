"""What a run writes about itself: rows of its tables and parts of the lines of rounds.jsonl."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from selftrain.evaluation import Comparison, Estimate, EvalResult
from selftrain.loop.collapse_monitor import Alarm, CollapseMonitor
from selftrain.loop.collect import CollectedRound
from selftrain.loop.learner import Learner, report_facts
from selftrain.loop.probe import Probe
from selftrain.storage import sample_row
from selftrain.training.base import TrainingReport
from selftrain.types import Problem, Sample


def sample_rows(samples: Sequence[Sample], number: int, problems: Mapping[str, Problem]) -> Iterator[dict[str, Any]]:
    """Rows of the table `samples`."""
    return (sample_row(s, number, problems[s.response.prompt.problem_id].reference) for s in samples)


def evaluation_rows(
    answered: Sequence[EvalResult], number: int, problems: Mapping[str, Problem]
) -> list[dict[str, Any]]:
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


def held_back_lines(number: int, lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """For the terminal: how far the programs of a round are right only on the tests they are paid for."""
    for line in lines:
        facts = line.get("sampling", {})
        if line["round"] == number and "held_back_gap" in facts:
            yield (
                f"round {number}: {line['model']}: {facts['held_back_failed']:,} of {facts['held_back_asked']:,} "
                f"rewarded programs fail tests that give no reward ({100 * facts['held_back_gap']:.1f} %)"
            )


def round_lines(
    number: int,
    learners: Sequence[Learner],
    collected: CollectedRound | None,
    reports: Mapping[str, TrainingReport | None],
    probes: Mapping[str, Probe],
    alarms: Sequence[Alarm],
    measured: Mapping[str, Mapping[str, Any]],
    weights: Callable[[int, str, str], str],
    validated_by: str,
    unsafe: str,
) -> list[dict[str, Any]]:
    """The lines of a round, one a model; what was measured of the models together comes last."""
    lines = []
    for learner in learners:
        name, report = learner.name, reports.get(learner.name)
        line: dict[str, Any] = {"round": number, "model": name}
        if measured:
            line["weights"] = weights(learner.weights_version, name, learner.base)
        line |= measured.get(name, {})
        if collected is not None:
            line["sampling"] = collected.stats[name].facts()
            line |= {"method_metrics": collected.metrics} if collected.metrics else {}
        if report is not None:
            line["training"] = report_facts(report)
        if name in probes:
            line |= {"validation": probes[name].mean, "probe": dict(probes[name].signals)}
            line["validated_by"] = validated_by
        if own := [asdict(alarm) for alarm in alarms if alarm.model == name]:
            line["alarms"] = own
        if number == 0 and unsafe:
            line["unsafe"] = unsafe
        lines.append(line)
    names = {learner.name for learner in learners}
    together = [name for name in measured if name not in names]
    return [*lines, *({"round": number, "model": name, "together": True, **measured[name]} for name in together)]


def late_lines(
    number: int,
    learners: Sequence[Learner],
    measured: Mapping[str, Mapping[str, Any]],
    weights: Callable[[int, str, str], str],
) -> list[dict[str, Any]]:
    """What a round's lines are added to where it was measured after the last round."""
    own = {learner.name: {"weights": weights(number, learner.name, learner.base)} for learner in learners}
    return [
        {"round": number, "model": name, **own.get(name, {"together": True}), **one} for name, one in measured.items()
    ]


def nothing_kept(number: int, collected: CollectedRound) -> str:
    stats = collected.stats.values()
    fates = sum((stats.drop_reason for stats in stats), Counter[str]()).most_common()
    return (
        f"round {number} kept none of its {sum(stats.drawn for stats in stats):,} samples "
        f"({', '.join(f'{why}: {count:,}' for why, count in fates)}); there is nothing to learn from, so the weights "
        "stay as they are and the run ends here. More --num_generations or easier problems may help."
    )


def watch_lines(
    number: int, collapse_monitor: CollapseMonitor, probes: Mapping[str, Probe], alarms: Sequence[Alarm]
) -> Iterator[str]:
    """What the probe of a round came to, for the terminal."""
    for model, one in probes.items():
        top = collapse_monitor.peak(model)
        yield f"round {number}: {model}: {collapse_monitor.what} on the probe {one.mean:.3f}, best in round {top}"
    for alarm in alarms:
        yield f"watch: {'collapse' if alarm.severe else 'warning'}: {alarm.model}: {alarm.reason}"


def stopped_by_the_watch(number: int, num_rounds: int) -> str:
    return (
        f"the run ends here, after round {number} of {num_rounds}: going on would do harm; the best round is kept as "
        "`best` (--collapse_watch warn goes on)"
    )
