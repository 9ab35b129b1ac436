"""Ask a model every problem, once greedily and several times at random, and have the answers judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from selftrain.config import check_types, setting
from selftrain.errors import SettingsError
from selftrain.evaluation.metrics import EvalResult
from selftrain.types import Grade, Prompt, Sample, Sampler, SamplingParams


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """How answers are drawn for evaluation: one and the same for all models that are to be compared."""

    num_generations_eval: int = setting(
        8, "answers drawn for each evaluation problem, the n of pass@k and maj@n; 0 for the greedy answer alone",
        source="ours, for the price; the ReST-EM paper draws up to 64",
    )  # fmt: skip
    temperature_eval: float = setting(
        1.0, "temperature of the drawn answers; one greedy answer comes on top", source="ReST-EM paper, pass@K curves"
    )
    top_p_eval: float = setting(
        0.95,
        "draw from the likeliest tokens that hold this probability; 1 is off",
        source="ReST-EM paper, pass@K curves",
    )
    top_k_eval: int = setting(
        0, "draw from so many likeliest tokens; 0 is off", source="the ReST-EM paper names none for evaluation"
    )
    eval_rounds: int = setting(
        1,
        "evaluate after every so many rounds, and always the untouched model and the last round",
        source="ours, so that every round can be seen; the SePT code evaluates every 50",
    )
    temperature_sweep: tuple[float, ...] = setting(
        (),
        "temperatures at which the untouched model is measured as well (0 is greedy), so that a trained model can be "
        "held against the best-decoded base; empty is off",
        source="ours, for the price; the SePT paper sweeps 0 to 1.6 in steps of 0.1",
    )
    gv_gap: bool = setting(
        False, "measure the generator-verifier gap in every evaluated round", source="ours, for the price"
    )
    gv_gap_problems: int = setting(200, "evaluation problems the gap is measured on")
    gv_gap_generations: int = setting(
        16, "answers drawn for each of these problems", source="ours, for the price; Song et al. 2412.02674 draw 128"
    )
    gv_gap_verifier: Literal["mc", "likelihood"] = setting(
        "mc",
        "'mc' asks the model whether an answer is Correct or Incorrect; 'likelihood' takes the mean log-probability of "
        "its tokens",
        source="ours among the verifiers of Song et al. 2412.02674: it needs no generation",
    )

    def __post_init__(self) -> None:
        check_types(self)
        more_than_none = "it counts something that there has to be one of"
        rules = {
            "num_generations_eval": (self.num_generations_eval >= 0, "a count is 0 or more; 0 draws no answers"),
            "temperature_eval": (self.temperature_eval > 0, "answers are drawn at a temperature above 0"),
            "top_p_eval": (0 < self.top_p_eval <= 1, "a top-p is above 0 and at most 1, where it is off"),
            "top_k_eval": (self.top_k_eval >= 0, "a count is 0 or more; 0 is off"),
            "eval_rounds": (self.eval_rounds >= 1, more_than_none),
            "temperature_sweep": (min(self.temperature_sweep, default=0) >= 0, "a temperature is 0 (greedy) or more"),
            "gv_gap_problems": (self.gv_gap_problems >= 1, more_than_none),
            "gv_gap_generations": (self.gv_gap_generations >= 2, "a verifier needs two answers to choose between"),
        }
        for name, (fits, why) in rules.items():
            if not fits:
                raise SettingsError(
                    f"{name} is {getattr(self, name)}", why, "the greedy answer is measured whatever the settings"
                )


def evaluate(
    sampler: Sampler,
    prompts: Sequence[Prompt],
    grade: Grade,
    settings: EvalConfig,
    max_completion_length: int,
    key: str,
) -> list[EvalResult]:
    """One greedy answer and `settings.num_generations_eval` sampled ones to each prompt, judged.

    `key` names the random streams: under one key all models are asked with the same luck.
    """
    n = settings.num_generations_eval
    greedy = SamplingParams(temperature=0.0, max_completion_length=max_completion_length)
    at_random = SamplingParams(
        temperature=settings.temperature_eval,
        top_k=settings.top_k_eval,
        top_p=settings.top_p_eval,
        max_completion_length=max_completion_length,
    )
    responses = sampler.sample(prompts, 1, greedy, f"{key}/greedy")
    if n:
        responses = responses + sampler.sample(prompts, n, at_random, f"{key}/sampled")
    # One call, so that a judge can work on all answers at once.
    graded = [Sample(r, s) for r, s in zip(responses, grade(responses), strict=True)]
    firsts, rest = graded[: len(prompts)], iter(graded[len(prompts) :])
    return [_answered(p, first, islice(rest, n)) for p, first in zip(prompts, firsts, strict=True)]


def _answered(prompt: Prompt, greedy: Sample, sampled: Iterable[Sample]) -> EvalResult:
    return EvalResult(prompt.problem_id, greedy, tuple(sampled))
