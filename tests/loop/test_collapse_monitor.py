"""What the collapse monitor decides, on made-up probes and in runs of toy models."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from selftrain.errors import SettingsError
from selftrain.evaluation import EvalConfig
from selftrain.loop.collapse_monitor import CollapseMonitor, MonitorConfig
from selftrain.loop.probe import Probe
from selftrain.methods import SePT
from selftrain.methods.base import collected_from
from selftrain.methods.filters import drop, with_scores
from selftrain.methods.sept import SePTTrainingConfig
from selftrain.report.round_record import Alarm, RoundRecord
from selftrain.types import Collected, Round, SamplingParams
from tests.toys.runs import run_toys, toy

HEALTHY = {"truncation_rate": 0.05, "parse_failure_rate": 0.1, "mean_length": 30.0, "token_entropy": 0.5,
           "same_text": 0.02}  # fmt: skip


def seen(rights: int, of: int = 200, **other: float) -> Probe:
    """A probe of which the first `rights` problems are right."""
    return Probe({f"p{i}": float(i < rights) for i in range(of)}, HEALTHY | other)


def watched(*probes: Probe, config: MonitorConfig | None = None) -> list[list[Alarm]]:
    """The alarms of each probe of one model in turn, five rounds apart."""
    monitor = CollapseMonitor(config or MonitorConfig(), "consensus")
    return [monitor.check(5 * number, {"llama": one}) for number, one in enumerate(probes)]


def collapses(alarms: list[list[Alarm]]) -> list[bool]:
    return [any(alarm.severe for alarm in of_round) for of_round in alarms]


# A falling score


def test_a_clear_fall_stops_and_says_from_where_to_where() -> None:
    *before, (alarm,) = watched(seen(100), seen(140), seen(100))
    assert before == [[], []]
    assert alarm.severe and alarm.model == "llama"
    assert alarm.reason.startswith("agreement with the consensus on the probe fell from 0.700 (round 5) to 0.500 (p = ")


def test_one_noisy_dip_does_not() -> None:
    """14 of 80 right answers are lost and 3 others won: a seventh lower, one-sided p = 0.006."""
    peak = {f"p{i}": float(i < 80) for i in range(200)}
    dip = peak | {f"p{i}": 0.0 for i in range(14)} | {f"p{i}": 1.0 for i in range(80, 83)}
    alarms = watched(Probe(peak, HEALTHY), Probe(dip, HEALTHY), Probe(peak, HEALTHY), Probe(dip, HEALTHY))
    assert collapses(alarms) == [False] * 4
    assert [len(of_round) for of_round in alarms] == [0, 1, 0, 1]
    # Twice in a row, among the last three probes, it is no dip.
    up, down = [Probe(peak, HEALTHY)] * 3, [Probe(dip, HEALTHY)] * 2
    assert collapses(watched(*up, *down)) == [False] * 4 + [True]


def test_a_fall_within_the_tolerance_is_none_however_certain() -> None:
    assert watched(seen(1000, of=1000), seen(940, of=1000)) == [[], []]
    assert collapses(watched(*[seen(1000, of=1000)] * 3, *[seen(940, of=1000)] * 3)) == [False] * 6
    strict = MonitorConfig(watch_tolerance=0.025)
    assert collapses(watched(seen(1000, of=1000), seen(940, of=1000), config=strict)) == [False, True]


def test_a_large_fall_on_few_problems_may_be_chance() -> None:
    assert collapses(watched(seen(8, of=10), seen(5, of=10), seen(5, of=10))) == [False] * 3


def test_each_model_is_held_against_its_own_peak() -> None:
    monitor = CollapseMonitor(MonitorConfig(), "reward")
    monitor.check(0, {"a": seen(180), "b": seen(60)})
    assert monitor.check(5, {"a": seen(180), "b": seen(60)}) == []
    (alarm,) = monitor.check(10, {"a": seen(100), "b": seen(60)})
    assert (alarm.model, alarm.severe) == ("a", True)
    assert monitor.peak_round("a") == 0 and monitor.check(15, {"a": seen(185)}) == [] and monitor.peak_round("a") == 15


def test_no_score_at_all_is_no_fall() -> None:
    """Where nothing could be read or graded there is nothing to compare."""
    assert watched(Probe({}, HEALTHY), Probe({}, HEALTHY)) == [[], []]
    assert watched(seen(0), seen(0)) == [[], []]


# Answers that degenerate


@pytest.mark.parametrize(
    ("signal", "base", "bad", "reason"),
    [
        ("truncation_rate", 0.05, 0.35, "35 % of answers are cut off, 5 % were before training"),
        ("parse_failure_rate", 0.1, 0.5, "50 % of answers are without a readable answer, 10 % were before training"),
        ("same_text", 0.02, 0.6, "60 % of different problems get the same text"),
    ],
)
def test_answers_that_degenerate_stop_a_run(signal: str, base: float, bad: float, reason: str) -> None:
    _, (alarm,) = watched(seen(100, **{signal: base}), seen(100, **{signal: bad}))
    assert alarm.severe and alarm.reason == reason


def test_what_was_so_before_training_is_no_degeneration() -> None:
    fresh = {"truncation_rate": 0.9, "parse_failure_rate": 0.8, "same_text": 0.4}
    assert watched(seen(100, **fresh), seen(100, **fresh | {"same_text": 0.7})) == [[], []]
    assert watched(seen(100, truncation_rate=0.05), seen(100, truncation_rate=0.29)) == [[], []]


@pytest.mark.parametrize(("signal", "now"), [("mean_length", 14.0), ("mean_length", 61.0), ("token_entropy", 0.04)])
def test_lengths_and_entropy_only_warn(signal: str, now: float) -> None:
    _, (alarm,) = watched(seen(100), seen(100, **{signal: now}))
    assert not alarm.severe and signal in alarm.reason


@pytest.mark.parametrize(("mode", "alarms"), [("stop", 1), ("warn", 1), ("off", 0)])
def test_a_watch_that_is_off_says_nothing(mode, alarms: int) -> None:
    _, found = watched(seen(140), seen(80), config=MonitorConfig(collapse_watch=mode))
    assert len(found) == alarms


# Whole courses


def course(levels: list[float], rng: random.Random, of: int = 200, anew: float = 0.1) -> list[Probe]:
    """Probes of a model whose chance of a right answer goes through `levels`.

    Some problems are easy and some hard. At each probe the share `anew` of the responses is sampled anew, the others
    keep their random number of the whole run: at one level, two probes differ in one problem of fifteen.
    """
    fixed, hard = [rng.random() for _ in range(of)], [rng.gauss(0, 0.2) for _ in range(of)]
    probes = []
    for level in levels:
        numbers = [rng.random() if rng.random() < anew else one for one in fixed]
        score = {f"p{i}": float(numbers[i] < min(0.98, max(0.02, level + hard[i]))) for i in range(of)}
        noise = {name: value * rng.uniform(0.8, 1.25) for name, value in HEALTHY.items()}
        probes.append(Probe(score, noise))
    return probes


@pytest.mark.parametrize("seed", range(10))
def test_a_healthy_run_is_not_stopped(seed: int) -> None:
    """Fifty probes of a model that rises from 0.45 to 0.7 and stays there."""
    rng = random.Random(f"healthy {seed}")
    levels = [min(0.7, 0.45 + 0.0125 * look) for look in range(50)]
    assert collapses(watched(*course(levels, rng))) == [False] * 50


@pytest.mark.parametrize("seed", range(10))
def test_a_falling_run_is_stopped_before_it_has_lost_a_fifth_of_its_peak(seed: int) -> None:
    """By 0.01 per probe; what is lost when the run ends is measured by the true level, not by the noisy probe."""
    rng = random.Random(f"falling {seed}")
    levels = [0.5 + 0.02 * look for look in range(11)] + [0.7 - 0.01 * look for look in range(1, 60)]
    found = collapses(watched(*course(levels, rng)))
    assert True in found
    stopped = found.index(True)
    assert stopped > 10 and levels[stopped] > 0.8 * 0.7


# Settings


@pytest.mark.parametrize("wrong", [{"watch_tolerance": 0.0}, {"probe_rounds": 0}, {"collapse_watch": "maybe"}])
def test_settings_that_cannot_work_are_refused(wrong: Mapping[str, object]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        MonitorConfig(**wrong)


# In a run


class Contrary(SePT):
    """Keeps what cannot be read, so a model that learns from it falls silent."""

    def collect(self, round: Round) -> Collected:
        (learner,) = round.learners
        responses = learner.sample(round.prompts, 4, SamplingParams(1.0), round.key)
        samples = with_scores(responses, round.grade(responses))
        return collected_from(drop(samples, "read", lambda s: s.score.extracted_answer is not None), learner.name)


def falling(folder: Path, monitor: MonitorConfig) -> Sequence[RoundRecord]:
    method = Contrary(num_rounds=12, problems_per_round=None)
    training = SePTTrainingConfig(learning_rate=0.5, warmup_steps=0, warmup_ratio=0.0)
    evaluation = EvalConfig(num_generations_eval=1, eval_rounds=6)
    learners = [toy("toy", 2.0, 0.0, 0.0)]
    return run_toys(folder, method, learners, training=training, monitor=monitor, evaluation=evaluation)


def test_a_run_that_collapses_ends_and_is_evaluated_and_saved_where_it_ended(tmp_path: Path) -> None:
    first, *_, last = falling(tmp_path / "run", MonitorConfig(probe_rounds=1))
    assert 1 < last.round < 12 and any(alarm.severe for alarm in last.alarms)
    assert last.metrics and (tmp_path / "run" / last.weights / "toy.json").is_file()
    assert first.validated_by == "consensus"
    assert first.validation_score is not None and last.validation_score is not None
    assert first.validation_score > last.validation_score


def test_a_run_that_is_only_warned_continues(tmp_path: Path) -> None:
    records = falling(tmp_path / "warn", MonitorConfig(probe_rounds=1, collapse_watch="warn"))
    assert records[-1].round == 12 and any(alarm.severe for record in records for alarm in record.alarms)
    quiet = falling(tmp_path / "off", MonitorConfig(probe_rounds=1, collapse_watch="off"))
    assert quiet[-1].round == 12 and not any(record.alarms for record in quiet)


def test_the_probe_is_asked_every_so_many_rounds_and_in_every_evaluated_one(tmp_path: Path) -> None:
    records = run_toys(
        tmp_path / "run", SePT(num_rounds=7, problems_per_round=None), training=SePTTrainingConfig(learning_rate=0.01),
        evaluation=EvalConfig(num_generations_eval=1, eval_rounds=4), monitor=MonitorConfig(probe_rounds=3),
    )  # fmt: skip
    assert [record.round for record in records if record.probe] == [0, 3, 4, 6, 7]
    assert [record.round for record in records if record.metrics] == [0, 4, 7]
    saved = sorted(path.name for path in (tmp_path / "run" / "weights").iterdir())
    assert saved == ["round-0004", "round-0007"]
