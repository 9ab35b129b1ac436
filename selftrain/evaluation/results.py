"""What evaluations result in: plain records, without numpy, so that a report can hold them."""

from __future__ import annotations

from dataclasses import dataclass

from selftrain.types import Sample


@dataclass(frozen=True)
class EvalResult:
    """One model's answers to one problem: the greedy one, and those sampled at random.

    EvalResult("gsm8k/test/3", greedy=Sample(...), sampled=(Sample(...), Sample(...)))
    """

    problem_id: str
    greedy: Sample | None
    sampled: tuple[Sample, ...]


@dataclass(frozen=True)
class Estimate:
    """A metric and its 95 % interval over `count` problems.

    Estimate(value=0.573, low=0.542, high=0.603, count=1000)
    """

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Comparison:
    """A paired difference between two models over the `problems` that both answered, with its 95 % interval.

    Comparison("greedy", base=0.46, new=0.57, difference=0.11, low=0.09, high=0.13, p_value=1e-9,
               test="McNemar exact", problems=1000)
    """

    metric: str
    base: float
    new: float
    difference: float
    low: float
    high: float
    #: Two-sided, of this one test: not corrected for looking at several rounds or metrics.
    p_value: float
    test: str
    problems: int


@dataclass(frozen=True)
class Sweep:
    """pass@1 of the base model by temperature, and of the base model decoded best.

    Sweep(by_temperature={"0": Estimate(0.45, ...), "0.6": Estimate(0.47, ...), "1": Estimate(0.38, ...)},
          chosen=(0.6, 0.6), best_decoded={"gsm8k/test/3": 0.75, ...}, estimate=Estimate(0.46, ...))
    """

    #: Temperature, as text -> pass@1; 0 is greedy. Top-k is off.
    by_temperature: dict[str, Estimate]
    #: The temperature each half of the problems is measured at: the one that is best on the other half.
    chosen: tuple[float, float]
    #: Problem id -> pass@1 at its half's temperature, for the problems graded at every temperature.
    best_decoded: dict[str, float]
    #: Mean of `best_decoded`. Its interval takes the two temperatures as given.
    estimate: Estimate


@dataclass(frozen=True)
class GVGap:
    """The generator-verifier gap of one model, with bootstrap intervals over problems. See `gv_gap.py`.

    GVGap(accuracy=0.41, gap=Estimate(0.052, 0.03, 0.07, 200), relative=Estimate(0.09, ...),
          curve={"0.5": 0.052, "1": 0.08}, acc_gap_verify=0.12, gap_unc=4.1)
    """

    #: Mean share right of all answers.
    accuracy: float
    #: At the quantile `gv_gap.PRIMARY`.
    gap: Estimate
    #: None where every answer to every problem is right.
    relative: Estimate | None
    #: Quantile, as text -> gap.
    curve: dict[str, float]
    #: Balanced accuracy of the verifier, which calls an answer right where its score reaches the median of all scores,
    #: minus `accuracy`. None where all answers are right or all are wrong.
    acc_gap_verify: float | None
    #: Mean -log p of an answer minus that of the answer with the best score (the mean where several have it), in nats:
    #: how much surer the model is of what its verifier selects.
    gap_unc: float


@dataclass(frozen=True)
class Reduction:
    """How far a gap shrank. `percent` is None where it would mean nothing; `why_no_percent` says why.

    Reduction(before=Estimate(0.16, ...), after=Estimate(0.14, ...), absolute=0.02, percent=13.4, why_no_percent=None)
    """

    before: Estimate
    after: Estimate
    absolute: float
    percent: float | None
    why_no_percent: str | None


def reduction(before: Estimate, after: Estimate) -> Reduction:
    """How far a gap shrank, absolutely; in percent of the gap before only where that is clearly above 0."""
    absolute = before.value - after.value
    if before.low > 0:
        return Reduction(before, after, absolute, percent=100 * absolute / before.value, why_no_percent=None)
    why = f"the gap before, {before.value:+.3f}, is not clearly above 0 (from {before.low:+.3f})"
    return Reduction(before, after, absolute, percent=None, why_no_percent=why)
