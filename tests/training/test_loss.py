from __future__ import annotations

import pytest
import torch

from selftrain.models import logprobs as logprobs_module
from selftrain.models.loading import LoadedModel
from selftrain.models.logprobs import sequence_logprobs, token_logprobs
from selftrain.models.rendering import TokenizedExample as Example
from selftrain.training.base import TrainingConfig
from selftrain.training.gradients import GradientAccumulator
from selftrain.training.loss import normalizer, weighted_nll
from tests.training.small import EXAMPLES, trainer_of

ROWS = [
    Example((5, 6, 7, 8, 9), 2, 1.0),
    Example((5, 9, 3), 1, 0.5),
    Example((4, 4, 4, 4, 4, 4, 11), 5, 2.0),
]


def by_hand(model: torch.nn.Module, rows: list[Example], temperature: float, normalization: str) -> torch.Tensor:
    total = torch.tensor(0.0)
    for row in rows:
        logits = model(torch.tensor([row.token_ids])).logits[0] / temperature
        losses = [
            torch.nn.functional.cross_entropy(logits[place - 1], torch.tensor(row.token_ids[place]))
            for place in range(row.prompt_length, len(row.token_ids))
        ]
        share = sum(losses) / (len(losses) if normalization == "example" else 1)
        total = total + row.weight * share
    count = len(rows) if normalization == "example" else sum(len(r.token_ids) - r.prompt_length for r in rows)
    return total / count


@pytest.mark.parametrize("normalization", ["token", "example"])
@pytest.mark.parametrize("temperature", [1.0, 0.6, 2.0])
def test_the_loss_is_a_hand_written_one(llama: LoadedModel, normalization, temperature: float) -> None:
    logprobs, mask = token_logprobs(llama.model, ROWS, pad_id=1, temperature=temperature)
    weights = torch.tensor([row.weight for row in ROWS])
    ours = weighted_nll(logprobs, mask, weights, normalization) / normalizer(ROWS, normalization)
    assert ours.item() == pytest.approx(by_hand(llama.model, ROWS, temperature, normalization).item(), rel=1e-5)


def gradient(model: torch.nn.Module, rows: list[Example], divisor: float) -> torch.Tensor:
    model.zero_grad()
    logprobs, mask = token_logprobs(model, rows, pad_id=1)
    (weighted_nll(logprobs, mask, torch.tensor([r.weight for r in rows]), "token") / divisor).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_weight_0_gives_no_gradient(trainable: LoadedModel) -> None:
    assert gradient(trainable.model, [Example((5, 6, 7), 1, 0.0)], 1.0).abs().max() == 0


def test_weight_2_is_the_example_twice(trainable: LoadedModel) -> None:
    once, double = Example((5, 6, 7), 1, 1.0), Example((5, 6, 7), 1, 2.0)
    twice, weighted = gradient(trainable.model, [once, once], 4.0), gradient(trainable.model, [double], 4.0)
    assert (twice - weighted).norm() < 1e-5 * twice.norm()


def test_the_prompt_gets_no_loss_and_padding_neither(llama: LoadedModel) -> None:
    logprobs, mask = token_logprobs(llama.model, ROWS, pad_id=1)
    assert mask.sum(-1).tolist() == [3, 2, 2]
    assert (logprobs[~mask] == 0).all()
    alone = [token_logprobs(llama.model, [row], pad_id=0)[0].sum().item() for row in ROWS]
    assert logprobs.sum(-1).tolist() == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("bf16", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize(("normalization", "temperature"), [("token", 1.0), ("example", 0.6)])
def test_logits_in_parts_give_the_same_loss_and_gradient(
    trainable: LoadedModel, normalization, temperature: float, bf16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """On models with a soft cap of their logits and without, with heads of their own and tied ones."""
    config = TrainingConfig(train_temperature=temperature, loss_normalization=normalization)
    rows = trainer_of(trainable).renderer.tokenize_examples(EXAMPLES)
    accumulator, found = GradientAccumulator(trainable.model, config, 1, bf16=bf16), []
    # Whole, and two tokens at a time.
    for most in (2**24, 2 * trainable.model.config.vocab_size):
        monkeypatch.setattr(logprobs_module, "MAX_LOGITS", most)
        accumulator.zero_grad()
        loss = accumulator.add(rows, normalizer(rows, normalization), "key")
        gradients = torch.cat([p.grad.flatten() for p in trainable.model.parameters() if p.grad is not None])
        found.append((loss, gradients))
    (whole, of_whole), (parts, of_parts) = found
    assert parts == pytest.approx(whole, rel=2e-2 if bf16 else 1e-5)
    assert (of_parts - of_whole).norm() < (5e-2 if bf16 else 1e-5) * of_whole.norm()


def test_logits_in_parts_give_the_same_scores(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = sequence_logprobs(loaded.model, ROWS, 1, max_tokens=100)
    monkeypatch.setattr(logprobs_module, "MAX_LOGITS", 2 * loaded.model.config.vocab_size)
    assert sequence_logprobs(loaded.model, ROWS, 1, max_tokens=100) == pytest.approx(expected, rel=1e-5)
