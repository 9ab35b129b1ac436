"""A model as the verifier of its own answers, and the generator-verifier gap measured with it."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from selftrain.errors import RunError
from selftrain.evaluation.evaluate import EvalConfig
from selftrain.evaluation.gv_gap import gap_of
from selftrain.evaluation.results import GVGap
from selftrain.evaluation.task import EvalTask
from selftrain.types import Response, Sampler

#: What `Prompt.asks_verdict` asks for.
VERDICTS = (" Correct", " Incorrect")
#: How answers are sampled: the settings of Song et al. 2412.02674.
TEMPERATURE, TOP_P = 0.7, 0.9


def verify(
    sampler: Sampler, responses: Sequence[Response], verifier: Literal["mc", "likelihood"] = "mc"
) -> list[float]:
    """One score per response; higher is better.

    mc           p(Correct) / (p(Correct) + p(Incorrect)) after the question and the answer, from 0 to 1; 0.5 where
                 both have probability 0
    likelihood   mean log p of the response's tokens at sampling time, in nats

    Raises:
        RunError: "likelihood" of another model's response, whose tokens are not this model's.
    """
    if verifier == "likelihood":
        return [_mean_logprob(sampler, response) for response in responses]
    prompts = [replace(r.prompt, peer_answers=(r.text,), asks_verdict=True) for r in responses]
    both = sampler.logprob([prompt for prompt in prompts for _ in VERDICTS], list(VERDICTS) * len(prompts))
    return [_share(yes, no) for yes, no in zip(both[::2], both[1::2], strict=True)]


def gap_answers(problems: int, config: EvalConfig) -> int:
    """How many answers one measurement of the gap samples, of so many evaluation problems."""
    return min(config.gv_gap_problems, problems) * config.gv_gap_generations


def measure_gv_gap(sampler: Sampler, task: EvalTask, config: EvalConfig) -> GVGap:
    """The gap of a model that samples answers, graded by `task.grade`, and verifies them itself.

    On `config.gv_gap_problems` of the prompts, the same for every model, with `config.gv_gap_generations` answers each.
    Unjudged answers are left out, and not verified.

    Raises:
        RunError: no answer has a verdict.
    """
    n = config.gv_gap_generations
    prompts = random.Random("gv-gap").sample(list(task.prompts), gap_answers(len(task.prompts), config) // n)
    params = task.params(TEMPERATURE, top_p=TOP_P)
    samples = task.graded(sampler.sample(prompts, n, params, f"{task.key}/gv-gap"))
    graded = [i for i, sample in enumerate(samples) if sample.score.value is not None]
    verified = verify(sampler, [samples[i].response for i in graded], config.gv_gap_verifier)
    correct: list[list[float]] = [[] for _ in prompts]
    scores: list[list[float]] = [[] for _ in prompts]
    nlls: list[list[float]] = [[] for _ in prompts]
    for i, score in zip(graded, verified, strict=True):
        correct[i // n].append(float(samples[i].score.is_right))
        scores[i // n].append(score)
        nlls[i // n].append(-samples[i].response.logprob)
    return gap_of(correct, scores, nlls)


def _share(yes: float, no: float) -> float:
    """e^yes / (e^yes + e^no), without overflow."""
    if yes == no:
        return 0.5
    odds = math.exp(-abs(yes - no))
    return 1 / (1 + odds) if yes > no else odds / (1 + odds)


def _mean_logprob(sampler: Sampler, response: Response) -> float:
    if response.model != sampler.name:
        raise RunError(
            f"the verifier {sampler.name!r} was given a response of {response.model!r}",
            "the log-probability of a response is that of the model that wrote it",
            "use the verifier 'mc', or the model's own responses",
        )
    return response.logprob / max(len(response.token_ids), 1)
