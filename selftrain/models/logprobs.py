"""How likely a model finds given tokens: the one forward pass of trainer and scorer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from selftrain.models.rendering import Row, batches_by_tokens


def autocast(model: Any, bf16: bool) -> AbstractContextManager[object]:
    """Computes in bfloat16 where that is asked for; weights, sums and softmaxes stay float32."""
    return torch.autocast(model.device.type, dtype=torch.bfloat16) if bf16 else nullcontext()


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Without dropout; afterwards as it was."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@contextmanager
def on_threads(number: int) -> Iterator[None]:
    """Computes on so many threads; afterwards on as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def token_logprobs(model: Any, rows: Sequence[Row], pad_id: int, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """log p of every completion token given all before it, at a temperature.

    Args:
        rows: prompt and completion ids; padded on the right here. Under causal attention a real token never
            sees what stands to its right, so no attention mask is needed.

    Returns:
        `[rows, columns]` log-probabilities in nats (0 where there is no completion token), and the bool mask.
        The columns are those of the longest row from the shortest prompt's last token on.
    """
    lengths = [len(row.token_ids) for row in rows]
    longest, first = max(lengths), min(row.prompt_length for row in rows) - 1
    # A prompt without a single token has no position that could predict the first completion token.
    first = max(first, 0)
    ids = torch.tensor([(*row.token_ids, *(pad_id,) * (longest - len(row.token_ids))) for row in rows]).to(model.device)
    kept = torch.arange(first, longest - 1, device=ids.device)
    logits = model(input_ids=ids[:, :-1], use_cache=False, logits_to_keep=kept).logits.float()
    if temperature != 1.0:
        logits = logits / temperature
    targets = ids[:, first + 1 :]
    places = torch.arange(first + 1, longest, device=ids.device)
    starts = torch.tensor([row.prompt_length for row in rows], device=ids.device)
    ends = torch.tensor(lengths, device=ids.device)
    mask = (places >= starts[:, None]) & (places < ends[:, None])
    logprobs = logits.gather(-1, targets[..., None]).squeeze(-1) - logits.logsumexp(dim=-1)
    return logprobs * mask, mask


def sum_logprobs(model: Any, rows: Sequence[Row], pad_id: int) -> Tensor:
    """log p(completion | prompt) of each row; `[rows]`, nats."""
    return token_logprobs(model, rows, pad_id)[0].sum(dim=-1, dtype=torch.float64)


@torch.inference_mode()
def score_rows(model: Any, rows: Sequence[Row], pad_id: int, budget: int) -> list[float]:
    """The same for any number of rows, in their order, at most `budget` tokens at a time, padding included."""
    found = [0.0] * len(rows)
    for batch in batches_by_tokens(rows, budget):
        with evaluating(model):
            sums = sum_logprobs(model, [rows[i] for i in batch], pad_id)
        for index, value in zip(batch, sums.tolist(), strict=True):
            found[index] = value
    return found
