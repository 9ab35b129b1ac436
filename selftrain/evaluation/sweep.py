"""How good the untouched model is when it is decoded well.

Training that sharpens a model gains against the model at temperature 1 and may gain nothing against the same model
drawn colder. So the untouched model is measured at several temperatures, and a trained one is held against the best.

The best is not chosen on what is reported: the problems are cut in two halves by a hash of their ids, and each half
is measured at the temperature that was best on the other one. (The SePT paper chooses on the test sets themselves.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from selftrain.errors import RunError
from selftrain.evaluation.compare import Comparison, paired
from selftrain.evaluation.intervals import wilson_of_means
from selftrain.evaluation.metrics import Estimate, EvalResult, measure, per_problem
from selftrain.types import Grade, Prompt, Sample, Sampler, SamplingParams


@dataclass(frozen=True)
class Sweep:
    """pass@1 of a model by temperature, and of the model decoded best.

    Sweep(by_temperature={"0": Estimate(0.45, ...), "0.6": Estimate(0.47, ...), "1": Estimate(0.38, ...)},
          chosen=(0.6, 0.6), best_decoded={"gsm8k/test/3": 0.75, ...}, estimate=Estimate(0.46, ...))
    """

    #: Temperature, as text -> pass@1; 0 is greedy. Top-k is off.
    by_temperature: dict[str, Estimate]
    #: The temperature each half of the problems is measured at; it was best on the other half.
    chosen: tuple[float, float]
    #: Problem id -> pass@1 at its half's temperature, for the problems judged at every temperature.
    best_decoded: dict[str, float]
    #: Mean of `best_decoded`. Its interval takes the two temperatures as given.
    estimate: Estimate


def sweep(
    sampler: Sampler,
    prompts: Sequence[Prompt],
    grade: Grade,
    temperatures: Sequence[float],
    n: int,
    max_completion_length: int,
    key: str,
    top_p: float = 1.0,
) -> Sweep:
    """Asks every prompt `n` times at each temperature (once at 0), with the same luck at all, and judges the answers.

    Raises:
        RunError: no temperature, or fewer than two problems with verdicts.
    """
    answered = {}
    for temperature in dict.fromkeys(temperatures):
        sampling = SamplingParams(temperature, top_p=top_p, max_completion_length=max_completion_length)
        answered[temperature] = _ask(sampler, prompts, grade, sampling, n, f"{key}/sweep")
    return best_of(answered)


def best_of(answered: Mapping[float, Sequence[EvalResult]]) -> Sweep:
    """The sweep that answers at several temperatures come to; those at 0 are greedy ones.

    Of equally good temperatures the one that stands first is chosen.
    """
    values = {temperature: per_problem(there).get(_metric(temperature), {}) for temperature, there in answered.items()}
    graded = set.intersection(*(set(of_problem) for of_problem in values.values())) if values else set()
    halves = _halves(graded)
    if not all(halves):
        raise RunError(
            f"a sweep of {len(values)} temperatures has verdicts on {len(graded)} problems",
            "a temperature is chosen on one half of the problems and measured on the other",
            "give at least one temperature, and two problems with reference answers",
        )
    best_for = tuple(
        max(values, key=lambda temperature: round(float(np.mean([values[temperature][i] for i in half])), 12))
        for half in halves
    )
    chosen = (best_for[1], best_for[0])
    best_decoded = {i: values[at][i] for at, half in zip(chosen, halves, strict=True) for i in half}
    shares = np.array(list(best_decoded.values()))
    drawn = {at: max((len(a.sampled) for a in there), default=0) or 1 for at, there in answered.items()}
    answers = sum(drawn[at] * len(half) for at, half in zip(chosen, halves, strict=True))
    return Sweep(
        by_temperature={f"{at:g}": measure(there)[_metric(at)] for at, there in answered.items()},
        chosen=chosen,
        best_decoded=best_decoded,
        estimate=Estimate(float(shares.mean()), *wilson_of_means(shares, answers), len(shares)),
    )


def against_best_decoded(base: Sweep, answered: Sequence[EvalResult]) -> dict[str, Comparison]:
    """A model's pass@1 and greedy accuracy, as far as it has them, against the untouched model decoded best.

    Keys are the metrics' names, "pass@1 against the best-decoded base" and "greedy against the best-decoded base".
    Both by sign flips: the base's side is a share of several answers.
    """
    found = {}
    for metric, of_problem in per_problem(answered).items():
        both = sorted(of_problem.keys() & base.best_decoded.keys())
        if metric in ("pass@1", "greedy") and both:
            name = f"{metric} against the best-decoded base"
            found[name] = paired(name, base.best_decoded, of_problem, both)
    return found


def _metric(temperature: float) -> str:
    return "pass@1" if temperature else "greedy"


def _halves(problem_ids: set[str]) -> tuple[list[str], list[str]]:
    """Equal in size, and independent of the order and the names of the data."""
    by_hash = sorted(problem_ids, key=lambda i: hashlib.blake2b(f"sweep/{i}".encode("utf-8", "surrogatepass")).digest())
    return by_hash[::2], by_hash[1::2]


def _ask(
    sampler: Sampler, prompts: Sequence[Prompt], grade: Grade, sampling: SamplingParams, n: int, key: str
) -> list[EvalResult]:
    wanted = n if sampling.temperature else 1
    responses = sampler.sample(prompts, wanted, sampling, key)
    samples = [Sample(response, score) for response, score in zip(responses, grade(responses), strict=True)]
    by_prompt = [tuple(samples[i * wanted : (i + 1) * wanted]) for i in range(len(prompts))]
    if not sampling.temperature:
        return [EvalResult(prompt.problem_id, one, ()) for prompt, (one,) in zip(prompts, by_prompt, strict=True)]
    return [EvalResult(prompt.problem_id, None, drawn) for prompt, drawn in zip(prompts, by_prompt, strict=True)]
