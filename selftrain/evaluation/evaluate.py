"""Ask a model every problem, once greedily and several times at random, and have the answers judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from selftrain.errors import SettingsError
from selftrain.evaluation.metrics import Answered
from selftrain.settings import check_types, setting
from selftrain.types import Answerer, Grade, Prompt, Sample, Sampling


@dataclass(frozen=True, kw_only=True)
class Evaluation:
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

    def __post_init__(self) -> None:
        check_types(self)
        wrong = {
            "num_generations_eval": self.num_generations_eval < 0,
            "temperature_eval": self.temperature_eval <= 0,
            "top_p_eval": not 0 < self.top_p_eval <= 1,
            "top_k_eval": self.top_k_eval < 0,
        }
        for name in (name for name, is_wrong in wrong.items() if is_wrong):
            raise SettingsError(
                f"{name} is {getattr(self, name)}",
                "drawn answers need a temperature above 0, a top-p above 0 and up to 1, and counts of 0 or more",
                "the greedy answer is always measured; --num_generations_eval 0 draws no others",
            )


def evaluate(
    answerer: Answerer,
    prompts: Sequence[Prompt],
    grade: Grade,
    settings: Evaluation,
    max_completion_length: int,
    key: str,
) -> list[Answered]:
    """One greedy answer and `settings.num_generations_eval` sampled ones to each prompt, judged.

    `key` names the random streams: under one key all models are asked with the same luck.
    """
    n = settings.num_generations_eval
    greedy = Sampling(temperature=0.0, max_completion_length=max_completion_length)
    at_random = Sampling(
        temperature=settings.temperature_eval,
        top_k=settings.top_k_eval,
        top_p=settings.top_p_eval,
        max_completion_length=max_completion_length,
    )
    responses = answerer.sample(prompts, 1, greedy, f"{key}/greedy")
    if n:
        responses = responses + answerer.sample(prompts, n, at_random, f"{key}/sampled")
    # One call, so that a judge can work on all answers at once.
    judged = [Sample(r, s) for r, s in zip(responses, grade(responses), strict=True)]
    firsts, rest = judged[: len(prompts)], iter(judged[len(prompts) :])
    return [_answered(p, first, islice(rest, n)) for p, first in zip(prompts, firsts, strict=True)]


def _answered(prompt: Prompt, greedy: Sample, sampled: Iterable[Sample]) -> Answered:
    return Answered(prompt.problem_id, greedy, tuple(sampled))
