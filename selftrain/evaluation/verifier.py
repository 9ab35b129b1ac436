"""A model as the verifier of answers, and the generator-verifier gap that this comes to, end to end."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from selftrain.errors import RunError
from selftrain.evaluation.evaluate import EvalConfig
from selftrain.evaluation.gv_gap import GVGap, gap_of
from selftrain.evaluation.metrics import RIGHT
from selftrain.types import Grade, Prompt, Response, Sampler, SamplingParams

#: What the verifier is asked, after the question; the answer follows as a posted one. The words are ours.
REQUEST = "Is the posted answer Correct or Incorrect?"
VERDICTS = (" Correct", " Incorrect")
#: How answers are drawn: the settings of Song et al. 2412.02674.
TEMPERATURE, TOP_P = 0.7, 0.9


def ask_verifier(
    sampler: Sampler, responses: Sequence[Response], verifier: Literal["mc", "likelihood"] = "mc"
) -> list[float]:
    """One score a response; more is better.

    mc           p(Correct) / (p(Correct) + p(Incorrect)) after the question and the answer, from 0 to 1. Where the
                 model holds both for impossible it is 0.5: no opinion
    likelihood   mean log p of the response's tokens when it was written, in nats

    Raises:
        RunError: the likelihood of what another model wrote: its tokens are not this one's.
    """
    if verifier == "likelihood":
        return [_mean_logprob(sampler, response) for response in responses]
    asked = [_verification(response) for response in responses]
    both = sampler.logprob([prompt for prompt in asked for _ in VERDICTS], list(VERDICTS) * len(asked))
    return [_share(yes, no) for yes, no in zip(both[::2], both[1::2], strict=True)]


def measure_gv_gap(
    sampler: Sampler,
    prompts: Sequence[Prompt],
    grade: Grade,
    settings: EvalConfig,
    max_completion_length: int,
    key: str,
) -> GVGap:
    """The gap of a model that draws answers, judged by `grade`, and verifies them itself.

    `settings.gv_gap_problems` of the prompts, the same ones for every model, `settings.gv_gap_generations` answers
    each. Unjudged answers are left out, and not verified.

    Raises:
        RunError: no answer has a verdict.
    """
    n = settings.gv_gap_generations
    chosen = random.Random("gv-gap").sample(list(prompts), min(settings.gv_gap_problems, len(prompts)))
    sampling = SamplingParams(temperature=TEMPERATURE, top_p=TOP_P, max_completion_length=max_completion_length)
    responses = sampler.sample(chosen, n, sampling, f"{key}/gv-gap")
    verdicts = [score.value for score in grade(responses)]
    graded = [i for i, verdict in enumerate(verdicts) if verdict is not None]
    verified = ask_verifier(sampler, [responses[i] for i in graded], settings.gv_gap_verifier)
    correct: list[list[float]] = [[] for _ in chosen]
    scores: list[list[float]] = [[] for _ in chosen]
    nlls: list[list[float]] = [[] for _ in chosen]
    for i, score in zip(graded, verified, strict=True):
        verdict = verdicts[i]
        correct[i // n].append(float(verdict is not None and verdict >= RIGHT))
        scores[i // n].append(score)
        nlls[i // n].append(-responses[i].logprob)
    return gap_of(correct, scores, nlls)


def _verification(response: Response) -> Prompt:
    prompt = response.prompt
    return replace(prompt, question=f"{prompt.question}\n{REQUEST}", peer_answers=(response.text,))


def _share(yes: float, no: float) -> float:
    """e^yes / (e^yes + e^no), without ever taking e to a large power."""
    if yes == no:
        return 0.5
    odds = math.exp(-abs(yes - no))
    return 1 / (1 + odds) if yes > no else odds / (1 + odds)


def _mean_logprob(sampler: Sampler, response: Response) -> float:
    if response.model != sampler.name:
        raise RunError(
            f"{sampler.name!r} is to tell the likelihood of a text that {response.model!r} wrote",
            "the log-probability that comes with an answer is its author's",
            "use the verifier 'mc', or the model's own answers",
        )
    return response.logprob / max(len(response.token_ids), 1)
