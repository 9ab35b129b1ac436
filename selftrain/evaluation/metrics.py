"""From the answers to each problem to metrics, each with a 95 % interval.

Every metric is a mean over problems of one number a problem. Three things are kept apart: wrong, unread (the
judge found no answer; counts as wrong) and unjudged (the judge failed; counted, and left out of every share).

Where no answer at all has a verdict (no labels: answers are only read), nothing is said of right and wrong, and
every answer counts in the metrics of reading.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from selftrain.errors import RunError
from selftrain.evaluation.intervals import Interval, normal, wilson_of_means
from selftrain.types import Sample

#: A score of this or more is right. Judges of right and wrong give 1 and 0; a graded judge is cut in the middle.
RIGHT = 0.5


@dataclass(frozen=True)
class EvalResult:
    """A problem with what a model answered: its one most likely answer, and answers drawn at random.

    Answered("gsm8k/test/3", greedy=Sample(...), sampled=(Sample(...), Sample(...)))
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


def measure(answered: Sequence[EvalResult]) -> dict[str, Estimate]:
    """All metrics that these answers allow.

    `greedy`              share of problems whose greedy answer is right (the "pass@1" of the ReST-EM paper's tables)
    `greedy_lenient`      the same by the judge's lenient rules, or by any other verdict it shows beside its own
    `pass@1`              expected share right of one sampled answer
    `pass@2`, `pass@4` .. chance that at least one of k sampled answers is right, k up to the samples drawn
    `maj@n`               share of problems whose most frequent sampled answer is right
    `distinct_answers`    different answers read among the samples of a problem
    `agreement`           share of a problem's samples whose answer is its most frequent one (self-consistency)
    `parse_failure_rate`  share of answers in which the judge found nothing to read *
    `truncation_rate`     share of answers cut off at the length limit *
    `mean_length`         tokens an answer, with its end token *
    `token_entropy`       −log p a sampled token, in nats: over a problem's samples, sum of −log p / sum of tokens. An
                          estimate of the entropy of the next token where answers are drawn at temperature 1 without
                          truncation; drawn colder, or from the likeliest tokens alone, it lies below that
    `unjudged`            how many of all `count` answers have no verdict: a number of answers, known exactly

    * over the sampled answers, or over the greedy ones where none was sampled.

    Where no answer has a verdict, `greedy`, `pass@k`, `maj@n` and `unjudged` are left out.
    """
    estimates = {}
    for metric, of_problem in per_problem(answered).items():
        values = np.array(list(of_problem.values()))
        estimates[metric] = Estimate(float(values.mean()), *_interval(metric, values, answered), len(values))
    samples = [s for a in answered for s in _all(a)]
    unjudged = sum(s.score.value is None for s in samples)
    if samples and unjudged == len(samples):
        return estimates
    return estimates | {"unjudged": Estimate(unjudged, unjudged, unjudged, len(samples))}


def per_problem(answered: Sequence[EvalResult]) -> dict[str, dict[str, float]]:
    """metric -> problem id -> value, for the problems that have one."""
    ids = Counter(a.problem_id for a in answered)
    if twice := [problem_id for problem_id, times in ids.items() if times > 1]:
        raise RunError(
            f"problem {twice[0]!r} was evaluated more than once",
            "metrics are means over different problems",
            "give each problem an id of its own",
        )
    values = {
        metric: {a.problem_id: value for a in answered if (value := of(a)) is not None}
        for metric, of in _metrics(answered).items()
    }
    return {metric: of_problem for metric, of_problem in values.items() if of_problem}


def pass_at(k: int, n: int, right: int) -> float:
    """Chance that k of n answers, drawn without replacement, hold a right one, given that `right` of n are.

    1 − C(n−c, k)/C(n, k) = 1 − Π_{i=n−c+1}^{n} (1 − k/i), unbiased (Chen et al. 2021, arXiv:2107.03374).
    """
    return 1 - math.prod(1 - k / i for i in range(n - right + 1, n + 1)) if n - right >= k else 1.0


def majority(samples: Sequence[Sample]) -> float:
    """1 if the most frequent answer read is right, 0 if it is wrong; among equally frequent ones, the share right.

    Answers are the same if the judge read the same text; one is right if any sample that gave it is. Answers
    that were not read have no vote; where none was read the majority is wrong.
    """
    votes = Counter(s.score.extracted_answer for s in samples if s.score.extracted_answer is not None)
    if not votes:
        return 0.0
    most = max(votes.values())
    first = {answer for answer, count in votes.items() if count == most}
    right = {s.score.extracted_answer for s in samples if _right(s)}
    return len(first & right) / len(first)


def _metrics(answered: Sequence[EvalResult]) -> Mapping[str, Callable[[EvalResult], float | None]]:
    drawn = max((len(a.sampled) for a in answered), default=0)
    metrics: dict[str, Callable[[EvalResult], float | None]] = {"greedy": _greedy}
    others = dict.fromkeys(name for a in answered if a.greedy for name in a.greedy.score.extra_scores)
    metrics |= {f"greedy_{name}": partial(_greedy_by, name=name) for name in others}
    metrics |= {f"pass@{2**i}": partial(_pass, k=2**i) for i in range(drawn.bit_length())}
    # A judge that calls an answer right without reading one (unit tests, a reward model) does not read answers:
    # votes and reading failures would be about the judge, not the model.
    if not any(_right(s) and s.score.extracted_answer is None for a in answered for s in _all(a)):
        metrics |= {f"maj@{drawn}": _majority} if drawn else {}
        graded = any(s.score.value is not None for a in answered for s in _all(a))
        of_these = _graded if graded else list
        metrics |= {
            "parse_failure_rate": lambda a: _unread(of_these(_drawn(a))),
            "distinct_answers": lambda a: _distinct(of_these(a.sampled)),
            "agreement": lambda a: _agreement(of_these(a.sampled)),
        }
    return metrics | {"truncation_rate": _truncated, "mean_length": _length, "token_entropy": _entropy}


def _interval(metric: str, values: np.ndarray, answered: Sequence[EvalResult]) -> Interval:
    if metric in ("mean_length", "distinct_answers", "token_entropy"):
        return normal(values)
    answers = len(values) if metric.startswith("greedy") else sum(len(_drawn(a)) for a in answered)
    return wilson_of_means(values, answers)


def _right(sample: Sample) -> bool:
    return sample.score.value is not None and sample.score.value >= RIGHT


def _graded(samples: Sequence[Sample]) -> list[Sample]:
    return [s for s in samples if s.score.value is not None]


def _all(a: EvalResult) -> tuple[Sample, ...]:
    return a.sampled + ((a.greedy,) if a.greedy else ())


def _drawn(a: EvalResult) -> tuple[Sample, ...]:
    return a.sampled or _all(a)


def _share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None


def _greedy(a: EvalResult) -> float | None:
    return _share([_right(s) for s in _graded([a.greedy] if a.greedy else [])])


def _greedy_by(a: EvalResult, name: str) -> float | None:
    return (
        None if a.greedy is None else _share([v >= RIGHT for n, v in a.greedy.score.extra_scores.items() if n == name])
    )


def _pass(a: EvalResult, k: int) -> float | None:
    graded = _graded(a.sampled)
    return pass_at(k, len(graded), sum(map(_right, graded))) if len(graded) >= k else None


def _majority(a: EvalResult) -> float | None:
    graded = _graded(a.sampled)
    return majority(graded) if graded else None


def _unread(samples: Sequence[Sample]) -> float | None:
    return _share([s.score.extracted_answer is None for s in samples])


def _distinct(samples: Sequence[Sample]) -> float | None:
    return float(len({s.score.extracted_answer for s in samples} - {None})) if samples else None


def _agreement(samples: Sequence[Sample]) -> float | None:
    """An unread answer agrees with none; where none was read, none agree."""
    votes = Counter(s.score.extracted_answer for s in samples if s.score.extracted_answer is not None)
    return max(votes.values(), default=0) / len(samples) if samples else None


def _truncated(a: EvalResult) -> float | None:
    return _share([s.response.truncated for s in _drawn(a)])


def _length(a: EvalResult) -> float | None:
    lengths = [len(s.response.token_ids) for s in _drawn(a)]
    return sum(lengths) / len(lengths) if lengths else None


def _entropy(a: EvalResult) -> float | None:
    tokens = sum(len(s.response.token_ids) for s in a.sampled)
    return -math.fsum(s.response.logprob for s in a.sampled) / tokens if tokens else None
