"""Judged answers in one line, for the tests of this folder."""

from __future__ import annotations

from selftrain.evaluation import EvalResult
from selftrain.types import Prompt, Response, Sample, Score


def sample(value: float | None, answer: str | None = "7", *, tokens: int = 3, cut: bool = False) -> Sample:
    response = Response(
        prompt=Prompt("p", "1+1?"),
        prompt_text="1+1?",
        sample_index=0,
        text=f"#### {answer}",
        token_ids=tuple(range(tokens)),
        logprob=-1.0,
        finish_reason="length" if cut else "stop",
        model="m",
        weights_version=0,
    )
    return Sample(response, Score(value, answer, "" if answer or value else "no answer found"))


def right(answer: str = "right") -> Sample:
    return sample(1.0, answer)


def wrong(answer: str = "wrong") -> Sample:
    return sample(0.0, answer)


UNREAD = sample(0.0, None)
UNJUDGED = sample(None, None)


def eval_result(problem_id: object, *sampled: Sample, greedy: Sample | None = None) -> EvalResult:
    return EvalResult(str(problem_id), greedy, sampled)


def coins(n: int, sampled: int, rights: list[int], greedy: list[int] | None = None) -> list[EvalResult]:
    """`n` problems with `sampled` samples each, `rights[i]` of them right."""
    return [
        eval_result(
            i,
            *(right() if j < rights[i] else wrong() for j in range(sampled)),
            greedy=None if greedy is None else (right() if greedy[i] else wrong()),
        )
        for i in range(n)
    ]
