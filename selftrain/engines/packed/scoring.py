"""Log-probabilities of given texts: every prompt is read once, however many texts follow it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from selftrain.engines.packed.decoder import Decoder
from selftrain.engines.packed.kv_cache import KVCache
from selftrain.engines.packed.sequence_group import TOKENS_AT_ONCE, read
from selftrain.engines.packed.slot_layout import SlotLayout
from selftrain.models.rendering import TokenizedExample

#: Logits held at once, as a number: 64 MiB of them.
LOGITS_AT_ONCE = 2**24

#: Numbers of rows with the same prompt.
_Siblings = list[int]


def score(decoder: Decoder, rows: Sequence[TokenizedExample]) -> list[float]:
    """log p(completion | prompt) of each row, in nats; rows have a token of prompt and one of completion at least."""
    found = [0.0] * len(rows)
    prompts: list[tuple[int, ...]] = []
    for batch in _batches(rows):
        wanted = [rows[siblings[0]].token_ids[: rows[siblings[0]].prompt_length] for siblings in batch]
        if wanted != prompts:
            prompts = wanted
            memory, last = read(decoder, prompts)
        completions = [[rows[number].token_ids[rows[number].prompt_length :] for number in one] for one in batch]
        sums = _sums(decoder, [len(ids) for ids in prompts], memory, last, completions)
        for siblings, of_prompt in zip(batch, sums.tolist(), strict=True):
            for number, value in zip(siblings, of_prompt, strict=False):
                found[number] = value
    return found


def _batches(rows: Sequence[TokenizedExample]) -> list[list[_Siblings]]:
    """What is computed at once: rectangles of prompts by completions by tokens, of like length."""
    by_prompt: dict[tuple[int, ...], _Siblings] = {}
    for number in sorted(range(len(rows)), key=lambda i: rows[i].completion_length):
        by_prompt.setdefault(rows[number].token_ids[: rows[number].prompt_length], []).append(number)
    batches: list[list[_Siblings]] = []
    answers = tokens = 0
    for prompt in sorted(by_prompt, key=len):
        for siblings in _split(rows, by_prompt[prompt]):
            answers, tokens = max(answers, len(siblings)), max(tokens, rows[siblings[-1]].completion_length)
            if batches and (len(batches[-1]) + 1) * answers * tokens <= TOKENS_AT_ONCE:
                batches[-1].append(siblings)
            else:
                batches.append([siblings])
                answers, tokens = len(siblings), rows[siblings[-1]].completion_length
    return batches


def _split(rows: Sequence[TokenizedExample], siblings: _Siblings) -> list[_Siblings]:
    """Parts that are small enough; `siblings` come by rising length."""
    parts: list[_Siblings] = []
    for number in siblings:
        if parts and (len(parts[-1]) + 1) * rows[number].completion_length <= TOKENS_AT_ONCE:
            parts[-1].append(number)
        else:
            parts.append([number])
    return parts


def _sums(
    decoder: Decoder, prompt_lengths: list[int], prompt: KVCache, last: Tensor, completions: list[list[tuple[int, ...]]]
) -> Tensor:
    """`[prompts, completions]`, nats; 0 where a prompt has fewer completions than another.

    Args:
        prompt, last: what `read` gave for the prompts.
        completions: token ids, by prompt.
    """
    one, count = decoder.architecture, max(map(len, completions))
    # The first token of a completion follows from the prompt, each other one from the token before it.
    lengths = torch.tensor([[len(ids) - 1 for ids in of_one] + [0] * (count - len(of_one)) for of_one in completions])
    flat = [ids for of_one in completions for ids in of_one]
    answer = torch.tensor([i * count + j for i, of_one in enumerate(completions) for j in range(len(of_one))])
    states, targets, answers = [last[answer // count]], [torch.tensor([ids[0] for ids in flat])], [answer]
    if int(lengths.max()) > 0:
        slots = SlotLayout.ragged(lengths, one.kv_heads)
        own = KVCache.blank(len(one.kinds), len(prompt_lengths) * one.kv_heads * count, slots.tokens, one.head_dim)
        starts = torch.tensor(prompt_lengths)
        positions = starts[slots.place // (count * slots.tokens)] + slots.place % slots.tokens
        attend = decoder.make_pass(one, slots, prompt, starts, own).attend
        states.append(decoder.hidden(torch.tensor([token for ids in flat for token in ids[:-1]]), positions, attend))
        targets.append(torch.tensor([token for ids in flat for token in ids[1:]]))
        answers.append(slots.place // slots.tokens)
    logprobs = _logprobs(decoder, torch.cat(states), torch.cat(targets))
    sums = torch.zeros(len(completions) * count, dtype=torch.float64).index_add_(0, torch.cat(answers), logprobs)
    return sums.view(len(completions), count)


def _logprobs(decoder: Decoder, states: Tensor, targets: Tensor) -> Tensor:
    """`[rows]`, float64: of each target after its state."""
    at_once = max(1, LOGITS_AT_ONCE // len(decoder.weights.embedding))
    found = [
        decoder.logits(some).log_softmax(dim=-1).gather(-1, wanted[:, None]).squeeze(-1).double()
        for some, wanted in zip(states.split(at_once), targets.split(at_once), strict=True)
    ]
    return torch.cat(found)
