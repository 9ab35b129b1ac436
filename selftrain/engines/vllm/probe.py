"""Whether the weights in vLLM are those of the trainer: both give the same tokens their log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from selftrain.engines.transformers import TransformersEngine
from selftrain.models.logprobs import logprob_of_each
from selftrain.models.rendering import TokenizedExample
from selftrain.types import Prompt

#: Mean nats a token by which they may differ; ours: measured in docs/results/engines.md.
TOLERANCES = {"float32": 1e-4, "bfloat16": 0.3}
#: Few and short, since every change of the weights waits for them.
QUESTIONS = (
    "What is 2 + 3?",
    "Name three colours of the rainbow, and say which of them you like best.",
    "def add(a, b):",
    "A train leaves at 9:40 and arrives 75 minutes later. When does it arrive?",
)
SAMPLES, TOKENS = 4, 16
#: High, so that tokens come from all of the vocabulary: what is certain has log-probability 0 by many wrong weights.
TEMPERATURE = 2.0


class Probe:
    """Tokens that vLLM samples, so that its own way of generating is what is looked at.

    Args:
        reference: around the live weights.
        max_model_length: tokens that a prompt and its completion may have in vLLM.
    """

    def __init__(self, reference: TransformersEngine, max_model_length: int | None) -> None:
        self._reference = reference
        room = None if max_model_length is None else max(1, max_model_length - TOKENS)
        prompts = [Prompt(f"probe/{number}", question) for number, question in enumerate(QUESTIONS)]
        self._ids = [reference.renderer.prompt_ids(prompt)[:room] for prompt in prompts]

    def batch(self) -> dict[str, Any]:
        """For vLLM's process; the same tokens are drawn from the same weights."""
        numbers = range(len(self._ids))
        return {
            "sampling": {"temperature": TEMPERATURE, "max_tokens": TOKENS},
            "prompts": [
                {"ids": self._ids[number], "stop": [], "seeds": [number * SAMPLES + one for one in range(SAMPLES)]}
                for number in numbers
            ],
        }

    def difference(self, rows: Sequence[dict[str, Any]]) -> float:
        """
        Args:
            rows: the process's reply to `batch`.

        Returns:
            Nats a token by which its log-probabilities differ from the live weights' in float32, on average.
        """
        prompts = (ids for ids in self._ids for _ in range(SAMPLES))
        model, pad, far = self._reference.model, self._reference.renderer.pad_id, list[float]()
        # One at a time: the logits of all would be large.
        for ids, row in zip(prompts, rows, strict=True):
            ours = logprob_of_each(model, TokenizedExample((*ids, *row["token_ids"]), len(ids)), pad)
            far += [abs(one - other) for one, other in zip(ours, row["logprobs"], strict=True)]
        return sum(far) / len(far)
