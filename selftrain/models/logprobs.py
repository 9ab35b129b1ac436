"""Log-probabilities of given tokens: one forward pass for training and scoring."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from selftrain.models.rendering import TokenizedExample, batches_by_tokens


def autocast(model: Any, bf16: bool) -> AbstractContextManager[object]:
    """bfloat16 autocast; weights, sums and softmaxes stay float32."""
    return torch.autocast(model.device.type, dtype=torch.bfloat16) if bf16 else nullcontext()


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """`model.eval()` inside; restores the mode afterwards."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Sets torch's number of threads inside; restores it afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def token_logprobs(
    model: Any, examples: Sequence[TokenizedExample], pad_id: int, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """log p of every completion token given all before it, from logits divided by `temperature`.

    Args:
        examples: padded on the right here. Under causal attention no token sees the padding, so no attention mask is
            needed.

    Returns:
        `[batch, length]` log-probabilities in nats (0 where there is no completion token), and the bool mask.
        `length` goes from the token after the shortest prompt to the end of the longest example.
    """
    lengths = [len(example.token_ids) for example in examples]
    longest, first = max(lengths), min(example.prompt_length for example in examples) - 1
    # No position predicts the first token of an example whose prompt is empty.
    first = max(first, 0)
    padded = [(*e.token_ids, *(pad_id,) * (longest - len(e.token_ids))) for e in examples]
    ids = torch.tensor(padded).to(model.device)
    kept = torch.arange(first, longest - 1, device=ids.device)
    logits = model(input_ids=ids[:, :-1], use_cache=False, logits_to_keep=kept).logits.float()
    if temperature != 1.0:
        logits = logits / temperature
    targets = ids[:, first + 1 :]
    positions = torch.arange(first + 1, longest, device=ids.device)
    starts = torch.tensor([example.prompt_length for example in examples], device=ids.device)
    ends = torch.tensor(lengths, device=ids.device)
    mask = (positions >= starts[:, None]) & (positions < ends[:, None])
    logprobs = logits.gather(-1, targets[..., None]).squeeze(-1) - logits.logsumexp(dim=-1)
    return logprobs * mask, mask


@torch.inference_mode()
def sequence_logprobs(model: Any, examples: Sequence[TokenizedExample], pad_id: int, max_tokens: int) -> list[float]:
    """log p(completion | prompt) of each example in nats, `max_tokens` tokens at a time, padding included."""
    scores = [0.0] * len(examples)
    for batch in batches_by_tokens(examples, max_tokens):
        with evaluating(model):
            logprobs, _ = token_logprobs(model, [examples[i] for i in batch], pad_id)
        for index, value in zip(batch, logprobs.sum(dim=-1, dtype=torch.float64).tolist(), strict=True):
            scores[index] = value
    return scores
