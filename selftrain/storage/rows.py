"""Rows of the tables `samples`, `evaluations` and `problems`, and of the logs of answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from selftrain.types import Problem, Prompt, Response, Sample, Score

#: Shares one int object for each token id: an object for every token would be half of a run's memory.
_IDS: dict[int, int] = {}


def sample_schema() -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            ("model", pa.string()),
            ("round", pa.int32()),
            ("weights_version", pa.int32()),
            ("problem_id", pa.string()),
            ("sample_index", pa.int32()),
            ("greedy", pa.bool_()),
            ("question", pa.string()),
            ("reference", pa.string()),
            ("prompt", pa.string()),
            ("completion", pa.string()),
            ("token_ids", pa.list_(pa.int32())),
            ("finish_reason", pa.string()),
            ("logprob", pa.float64()),
            ("reward", pa.float64()),
            ("extracted_answer", pa.string()),
            ("reason", pa.string()),
            ("kept", pa.bool_()),
            ("drop_reason", pa.string()),
            ("weight", pa.float64()),
            ("pmi", pa.float64()),
            ("extra_scores", pa.string()),
        ]
    )


def problem_schema() -> Any:
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in ("part", "problem_id", "question", "reference")])


def sample_row(sample: Sample, round_number: int, reference: str | None, greedy: bool = False) -> dict[str, Any]:
    """One row of the table `samples` or `evaluations`. No times, so that equal runs have equal bytes."""
    response, score = sample.response, sample.score
    return {
        "model": response.model, "round": round_number, "weights_version": response.weights_version,
        "problem_id": response.prompt.problem_id, "sample_index": response.sample_index, "greedy": greedy,
        "question": response.prompt.question, "reference": reference, "prompt": response.prompt_text,
        "completion": response.text, "token_ids": list(response.token_ids), "finish_reason": response.finish_reason,
        "logprob": response.logprob, "reward": score.value, "extracted_answer": score.extracted_answer,
        "reason": score.reason, "kept": sample.kept, "drop_reason": sample.drop_reason, "weight": sample.weight,
        "pmi": sample.pmi,
        "extra_scores": json.dumps(dict(score.extra_scores)) if score.extra_scores else None,
    }  # fmt: skip


def problem_rows(parts: Mapping[str, Sequence[Problem]]) -> list[dict[str, Any]]:
    return [
        {"part": part, "problem_id": p.id, "question": p.question, "reference": p.reference}
        for part, problems in parts.items()
        for p in problems
    ]


def response_row(response: Response) -> dict[str, Any]:
    """A response in a log, without its prompt, which is known when it is read back."""
    return {
        "index": response.sample_index, "text": response.text, "ids": list(response.token_ids),
        "logprob": response.logprob, "finish": response.finish_reason, "version": response.weights_version,
    }  # fmt: skip


def responses_of(
    rows: Sequence[Mapping[str, Any]], prompts: Sequence[Prompt], n: int, *, text: Callable[[Prompt], str], model: str
) -> list[Response]:
    """The inverse of `response_row`, for `n` responses to each prompt; `text` renders a prompt."""
    texts = [text(prompt) for prompt in prompts]
    return [_response_of(row, prompts[i // n], texts[i // n], model) for i, row in enumerate(rows)]


def _response_of(row: Mapping[str, Any], prompt: Prompt, prompt_text: str, model: str) -> Response:
    return Response(
        prompt=prompt, prompt_text=prompt_text, sample_index=row["index"], text=row["text"],
        token_ids=tuple(map(_IDS.setdefault, row["ids"], row["ids"])), logprob=row["logprob"],
        finish_reason=row["finish"], model=model, weights_version=row["version"],
    )  # fmt: skip


def score_row(score: Score) -> dict[str, Any]:
    return {
        "value": score.value, "extracted_answer": score.extracted_answer, "reason": score.reason,
        "seconds": score.seconds, "extra_scores": dict(score.extra_scores),
    }  # fmt: skip
