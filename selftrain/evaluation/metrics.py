"""From graded answers to metrics, each with a 95 % interval.

Every metric is a mean over problems of one number per problem. Three things are kept apart: wrong, unread (the grader
extracted no answer; counts as wrong) and unjudged (no verdict; counted, and left out of every share).

Where no answer at all has a verdict (no labels: answers are only extracted), metrics of right and wrong are left out,
and every answer counts in the others.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from selftrain.errors import RunError
from selftrain.evaluation.intervals import Interval, normal, wilson_of_means
from selftrain.evaluation.results import Estimate, EvalResult
from selftrain.types import RIGHT, Sample

Metric = Callable[[EvalResult], float | None]


def measure(results: Sequence[EvalResult]) -> dict[str, Estimate]:
    """All metrics that these answers allow.

    `greedy`              share of problems whose greedy answer is right (the "pass@1" of the ReST-EM paper's tables)
    `greedy_lenient`      the same by the grader's lenient rules, or by any other of its `extra_scores`
    `pass@1`              expected share right of one sampled answer
    `pass@2`, `pass@4` .. chance that at least one of k sampled answers is right, k up to the number sampled
    `maj@n`               share of problems whose most frequent sampled answer is right
    `distinct_answers`    different answers among the samples of a problem
    `agreement`           share of a problem's samples whose answer is its most frequent one (self-consistency)
    `parse_failure_rate`  share of samples from which the grader extracted no answer *
    `truncation_rate`     share of samples cut off at the length limit *
    `mean_length`         tokens of a sample, its end token included *
    `token_entropy`       -log p per sampled token, in nats: over a problem's samples, sum of -log p / sum of tokens.
                          Estimates the entropy of the next token where answers are sampled at temperature 1 without
                          truncation; at lower temperatures, or with top-p or top-k, it lies below that
    `unjudged`            how many of all `count` answers have no verdict: a count, known exactly

    * over the sampled answers, or over the greedy ones where none was sampled.

    Where no answer has a verdict, `greedy`, `pass@k`, `maj@n` and `unjudged` are left out.

    Raises:
        RunError: a problem comes twice.
    """
    estimates = {}
    for metric, by_problem in per_problem(results).items():
        values = np.array(list(by_problem.values()))
        estimates[metric] = Estimate(float(values.mean()), *_interval(metric, values, results), len(values))
    samples = [sample for result in results for sample in _all(result)]
    unjudged = sum(sample.score.value is None for sample in samples)
    if samples and unjudged == len(samples):
        return estimates
    return estimates | {"unjudged": Estimate(unjudged, unjudged, unjudged, len(samples))}


def per_problem(results: Sequence[EvalResult]) -> dict[str, dict[str, float]]:
    """metric -> problem id -> value, for the problems that have one."""
    ids = Counter(result.problem_id for result in results)
    if twice := [problem_id for problem_id, times in ids.items() if times > 1]:
        raise RunError(
            f"problem {twice[0]!r} was evaluated more than once",
            "metrics are means over different problems",
            "give each problem an id of its own",
        )
    found = {}
    for metric, value_of in _metrics(results).items():
        values = {result.problem_id: value for result in results if (value := value_of(result)) is not None}
        if values:
            found[metric] = values
    return found


def pass_at(k: int, n: int, right: int) -> float:
    """Chance that k of n answers, picked without replacement, hold a right one, given that `right` of n are.

    1 - C(n-c, k)/C(n, k) = 1 - prod_{i=n-c+1}^{n} (1 - k/i), unbiased (Chen et al. 2021, arXiv:2107.03374).
    """
    return 1 - math.prod(1 - k / i for i in range(n - right + 1, n + 1)) if n - right >= k else 1.0


def majority(samples: Sequence[Sample]) -> float:
    """1 if the most frequent answer is right, 0 if it is wrong; among equally frequent ones, the share right.

    Answers are the same if the same text was extracted; one is right if any sample that gave it is. Samples without
    an extracted answer have no vote; where none has one the majority is wrong.
    """
    votes = Counter(s.score.extracted_answer for s in samples if s.score.extracted_answer is not None)
    if not votes:
        return 0.0
    most = max(votes.values())
    first = {answer for answer, count in votes.items() if count == most}
    right = {s.score.extracted_answer for s in samples if s.score.is_right}
    return len(first & right) / len(first)


def _metrics(results: Sequence[EvalResult]) -> Mapping[str, Metric]:
    sampled = max((len(result.sampled) for result in results), default=0)
    metrics: dict[str, Metric] = {"greedy": _greedy}
    extra = dict.fromkeys(name for result in results if result.greedy for name in result.greedy.score.extra_scores)
    metrics |= {f"greedy_{name}": partial(_greedy_by, name=name) for name in extra}
    metrics |= {f"pass@{2**i}": partial(_pass, k=2**i) for i in range(sampled.bit_length())}
    samples = [sample for result in results for sample in _all(result)]
    # A grader that calls an answer right without extracting one, or never extracts one nor says why (unit tests, a
    # reward function), extracts none at all: votes and parse failures would be the grader's, not the model's.
    scores = [sample.score for sample in samples]
    reads = any(score.extracted_answer is not None or score.reason for score in scores)
    if reads and not any(score.is_right and score.extracted_answer is None for score in scores):
        metrics |= {f"maj@{sampled}": _majority} if sampled else {}
        graded = any(sample.score.value is not None for sample in samples)
        counted = _graded if graded else list
        metrics |= {
            "parse_failure_rate": lambda result: _unread(counted(_sampled(result))),
            "distinct_answers": lambda result: _distinct(counted(result.sampled)),
            "agreement": lambda result: _agreement(counted(result.sampled)),
        }
    return metrics | {"truncation_rate": _truncated, "mean_length": _length, "token_entropy": _entropy}


def _interval(metric: str, values: np.ndarray, results: Sequence[EvalResult]) -> Interval:
    if metric in ("mean_length", "distinct_answers", "token_entropy"):
        return normal(values)
    answers = len(values) if metric.startswith("greedy") else sum(len(_sampled(result)) for result in results)
    return wilson_of_means(values, answers)


def _graded(samples: Sequence[Sample]) -> list[Sample]:
    return [sample for sample in samples if sample.score.value is not None]


def _all(result: EvalResult) -> tuple[Sample, ...]:
    return result.sampled + ((result.greedy,) if result.greedy else ())


def _sampled(result: EvalResult) -> tuple[Sample, ...]:
    return result.sampled or _all(result)


def _share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None


def _greedy(result: EvalResult) -> float | None:
    return _share([sample.score.is_right for sample in _graded([result.greedy] if result.greedy else [])])


def _greedy_by(result: EvalResult, name: str) -> float | None:
    score = None if result.greedy is None else result.greedy.score.extra_scores.get(name)
    return None if score is None else float(score >= RIGHT)


def _pass(result: EvalResult, k: int) -> float | None:
    graded = _graded(result.sampled)
    return pass_at(k, len(graded), sum(s.score.is_right for s in graded)) if len(graded) >= k else None


def _majority(result: EvalResult) -> float | None:
    graded = _graded(result.sampled)
    return majority(graded) if graded else None


def _unread(samples: Sequence[Sample]) -> float | None:
    return _share([s.score.extracted_answer is None for s in samples])


def _distinct(samples: Sequence[Sample]) -> float | None:
    return float(len({s.score.extracted_answer for s in samples} - {None})) if samples else None


def _agreement(samples: Sequence[Sample]) -> float | None:
    """A sample without an answer agrees with none; where none has one, none agree."""
    votes = Counter(s.score.extracted_answer for s in samples if s.score.extracted_answer is not None)
    return max(votes.values(), default=0) / len(samples) if samples else None


def _truncated(result: EvalResult) -> float | None:
    return _share([s.response.truncated for s in _sampled(result)])


def _length(result: EvalResult) -> float | None:
    lengths = [len(s.response.token_ids) for s in _sampled(result)]
    return sum(lengths) / len(lengths) if lengths else None


def _entropy(result: EvalResult) -> float | None:
    tokens = sum(len(s.response.token_ids) for s in result.sampled)
    return -math.fsum(s.response.logprob for s in result.sampled) / tokens if tokens else None
