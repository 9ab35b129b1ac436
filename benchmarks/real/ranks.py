"""Does training change the order of tokens, which no temperature does?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from benchmarks.real.jobs import Place
from benchmarks.real.settings import PARTS
from benchmarks.turns import table
from selftrain.models.loading import load_model
from selftrain.storage import RunFolder

#: Answers of the base model that are read.
TEXTS = 100


def rank_lines(place: Place, arms: Sequence[str]) -> Iterator[str]:
    if not arms:
        return
    yield f"""Ranks of tokens at each position of the base model's greedy answers to {TEXTS} unseen problems:
the share of positions at which the likeliest token, and the order of the ten likeliest, is no longer the base model's.
Each seed:"""
    rows = []
    for arm in arms:
        shares = [ranks(place, arm, seed) for seed in place.seeds]
        rows.append((arm, *(", ".join(f"{100 * one:.1f}" for one in of) for of in zip(*shares, strict=True))))
    yield table(("run", "likeliest token, %", "order of ten, %"), rows)


def ranks(place: Place, arm: str, seed: int) -> tuple[float, float]:
    """Shares of positions at which (the first token, the order of the first ten) differ from the base model's."""
    query = "select prompt, token_ids from evaluations where round = 0 and greedy order by problem_id"
    texts = RunFolder.open(place.folder(arm, seed)).query(f"{query} limit {TEXTS}").fetchall()
    base = str(place.settings(PARTS[place.part].arms[arm])["model_name_or_path"])
    before, after = (_top_ten(model, texts) for model in (base, str(place.weights(arm, seed))))
    changed = before != after
    return float(changed[:, 0].double().mean()), float(changed.any(dim=1).double().mean())


@torch.inference_mode()
def _top_ten(model: str, texts: Sequence[tuple[str, list[int]]]) -> torch.Tensor:
    """The ten likeliest tokens before each token of the answers."""
    loaded, found = load_model(model, device="cpu"), []
    for prompt, answer in texts:
        ids = [*loaded.tokenizer(prompt, add_special_tokens=False)["input_ids"], *answer]
        logits = loaded.model(torch.tensor([ids]), logits_to_keep=len(answer) + 1).logits[0, :-1]
        found.append(logits.topk(10).indices)
    return torch.cat(found)
