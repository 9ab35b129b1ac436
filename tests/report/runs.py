"""Records of small runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from selftrain.evaluation.results import Comparison, Estimate, Sweep
from selftrain.loop.best_round import BestRoundTracker
from selftrain.report.history import RunHistory
from selftrain.report.round_record import RoundRecord, SamplingSummary
from selftrain.training.base import TrainingReport


def estimate(value: float, reach: float = 0.03, count: int = 1000) -> Estimate:
    return Estimate(value, low=value - reach, high=value + reach, count=count)


def comparison(base: float, new: float, p: float, problems: int = 1000) -> Comparison:
    return Comparison(
        metric="greedy", base=base, new=new, difference=new - base, low=new - base - 0.023, high=new - base + 0.023,
        p_value=p, test="McNemar exact", problems=problems,
    )  # fmt: skip


SAMPLING = SamplingSummary(
    samples=8000, kept=4190, drop_reasons={"wrong": 3000, "duplicate": 700, "over the cap": 110, "unjudged": 0},
    answers_extracted=7800, mean_reward=0.43, solved_problems=812, problems=1000, tokens=0, mean_length=None,
    truncated=0,
)  # fmt: skip
TRAINING = TrainingReport(
    examples=4190, tokens=90_000, steps=120, skipped=0, epochs=2, best_epoch=1, loss_first=0.61, loss_last=0.42,
    validation_metric=(0.5, 0.7, 0.69), max_tokens_per_batch=2048,
)  # fmt: skip


def record(number: int, gain: float = 0.0, p: float = 1.0, model: str = "llama", **changes: Any) -> RoundRecord:
    """Round `number`, `gain` above the base's 46.1 % greedy and 41.2 % pass@1."""
    if "validation_score" in changes:
        changes.setdefault("validated_by", "reward")
    metrics = {
        "greedy": estimate(0.461 + gain), "pass@1": estimate(0.412 + gain), "pass@2": estimate(0.55),
        "pass@8": estimate(0.731), "maj@8": estimate(0.55 + gain), "parse_failure_rate": estimate(0.02, 0.01),
        "mean_length": estimate(81.24, 1.5), "unjudged": Estimate(0, low=0, high=0, count=9000),
    }  # fmt: skip
    made = RoundRecord(round=number, model=model, weights=f"weights/round-{number}", metrics=metrics)
    if number:
        made = replace(
            made,
            against_base={"greedy": comparison(0.461, 0.461 + gain, p), "pass@8": comparison(0.731, 0.731, 0.8)},
            sampling=SAMPLING,
            training=TRAINING,
            seconds={"sample": 30.1, "grade": 0.5, "train": 31.2, "evaluate": 12.0},
        )
    return replace(made, **changes)


def history(records: Sequence[RoundRecord]) -> RunHistory:
    """With the decision of a run that had these records."""
    validated_by = next((one.validated_by for one in records if one.validated_by), None)
    tracker = BestRoundTracker(validated_by, drop=lambda number: None)
    for number in sorted({one.round for one in records}):
        own = [one for one in records if one.round == number and one.weights]
        if own and (number == 0 or any(one.training for one in own)):
            scores = [one.validation_score for one in own if one.validation_score is not None]
            tracker.add(number, fmean(scores) if scores else None, evaluated=True, save=lambda: None)
    return RunHistory(records, tracker.decide())


BASE = [record(0)]
GAIN = [record(0), record(1, 0.05, 0.01), record(2, 0.112, 1e-6)]
SEVERAL = [record(number, 0.05 * number, 0.004, model) for model in ("llama", "qwen") for number in range(3)]
BARE = [record(0), RoundRecord(round=1, model="llama")]


def real(name: str) -> list[RoundRecord]:
    """Records of a real run of the seeds: "sept" (10 rounds, evaluated every 5) or "pst" (rounds 0, 1, 3 and 5)."""
    text = Path(__file__).with_name(f"{name}.jsonl").read_text(encoding="utf-8")
    return [RoundRecord.from_dict(json.loads(line)) for line in text.splitlines()]


def long_run(rounds: int = 400, every: int = 20) -> list[RoundRecord]:
    """As many rounds as SePT has, made of the real ones: evaluated and probed every so often."""
    first, plain, *_, full = real("sept")
    records = [first]
    for number in range(1, rounds + 1):
        probed = replace(full, round=number, validation_score=0.7 if number == 300 else 0.65)
        records.append(replace(plain, round=number) if number % every else probed)
    return records


def blind(records: Sequence[RoundRecord]) -> list[RoundRecord]:
    """The same, had no evaluation problem an answer."""
    kept = ("agreement", "token_entropy", "mean_length", "parse_failure_rate")
    return [
        replace(
            one, against_base={}, gv_gap=None, metrics={name: one.metrics[name] for name in kept if name in one.metrics}
        )
        for one in records
    ]


def swept(records: Sequence[RoundRecord]) -> list[RoundRecord]:
    """The same with the base measured by temperature, best at 0.3 and 0.6, and the last round compared with that."""
    by_temperature = {"0": estimate(0.74), "0.3": estimate(0.76), "0.6": estimate(0.75), "1": estimate(0.51)}
    sweep = Sweep(by_temperature, chosen=(0.3, 0.6), best_decoded={"a": 1.0}, estimate=estimate(0.755))
    against = {"pass@1 against the best-decoded base": comparison(0.755, 0.543, 1e-4)}
    first, *rest, last = records
    return [replace(first, sweep=sweep), *rest, replace(last, against_best_decoded=against)]
