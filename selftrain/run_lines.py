"""What a run writes about itself: rows of its tables and parts of the lines of rounds.jsonl."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from selftrain.evaluation import RIGHT, Answered, Comparison, Estimate
from selftrain.learner import Learner, report_facts
from selftrain.learning.base import LearningReport
from selftrain.record import sample_row
from selftrain.types import Lessons, Problem, Sample
from selftrain.watch import Alarm, Probe, Watcher


def evaluation_rows(answered: Sequence[Answered], number: int, problems: Mapping[str, Problem]) -> list[dict[str, Any]]:
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


def sampling_facts(samples: Sequence[Sample]) -> dict[str, Any]:
    """What one model's samples of a round came to."""
    # Of the draws that every problem had: further ones are only made for problems that are not yet solved often enough.
    drawn = Counter(s.response.prompt.problem_id for s in samples)
    every, seen = min(drawn.values(), default=0), Counter[str]()
    values = []
    for sample in samples:
        seen[sample.response.prompt.problem_id] += 1
        if sample.score.value is not None and seen[sample.response.prompt.problem_id] <= every:
            values.append(sample.score.value)
    solved = {s.response.prompt.problem_id for s in samples if s.score.value is not None and s.score.value >= RIGHT}
    lengths = [len(s.response.token_ids) for s in samples]
    return {
        "drawn": len(samples),
        "kept": sum(s.kept for s in samples),
        "why_not": dict(Counter(s.why_not for s in samples if s.why_not is not None)),
        "answers_read": sum(s.score.answer is not None for s in samples),
        "mean_reward": sum(values) / len(values) if values else None,
        "problems_with_one_right": len(solved) if values else None,
        "problems": len({s.response.prompt.problem_id for s in samples}),
        "tokens": sum(lengths),
        "mean_length": sum(lengths) / len(lengths) if lengths else None,
        "truncated": sum(s.response.truncated for s in samples),
        **_held_back(samples),
    }


def _held_back(samples: Sequence[Sample]) -> dict[str, Any]:
    """How many rewarded samples the tests that give no reward were asked about, and how many failed them."""
    asked = [s.score.others["held_back"] for s in samples if "held_back" in s.score.others]
    if not asked:
        return {}
    failed = sum(verdict < RIGHT for verdict in asked)
    return {"held_back_asked": len(asked), "held_back_failed": failed, "held_back_gap": failed / len(asked)}


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
    lessons: Lessons | None,
    reports: Mapping[str, LearningReport | None],
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
        if lessons is not None:
            line["sampling"] = sampling_facts([s for s in lessons.samples if s.response.model == name])
            line |= {"facts": dict(lessons.facts)} if lessons.facts else {}
        if report is not None:
            line["learning"] = report_facts(report)
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


def nothing_kept(number: int, lessons: Lessons) -> str:
    fates = Counter(str(sample.why_not) for sample in lessons.samples).most_common()
    return (
        f"round {number} kept none of its {len(lessons.samples):,} samples "
        f"({', '.join(f'{why}: {count:,}' for why, count in fates)}); there is nothing to learn from, so the weights "
        "stay as they are and the run ends here. More --num_generations or easier problems may help."
    )


def watch_lines(number: int, watcher: Watcher, probes: Mapping[str, Probe], alarms: Sequence[Alarm]) -> Iterator[str]:
    """What the probe of a round came to, for the terminal."""
    for model, one in probes.items():
        top = watcher.peak(model)
        yield f"round {number}: {model}: {watcher.what} on the probe {one.mean:.3f}, best in round {top}"
    for alarm in alarms:
        yield f"watch: {'collapse' if alarm.grave else 'warning'}: {alarm.model}: {alarm.reason}"


def stopped_by_the_watch(number: int, num_rounds: int) -> str:
    return (
        f"the run ends here, after round {number} of {num_rounds}: going on would do harm; the best round is kept as "
        "`best` (--collapse_watch warn goes on)"
    )
