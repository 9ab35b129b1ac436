"""The models that speeds are measured on: random weights, the tokenizer of a seed model, answers of natural length."""

from __future__ import annotations

import torch
import transformers

from selftrain.models.loading import LoadedModel, load_model
from selftrain.models.seeds import seed_model
from selftrain.types import SamplingParams

SAMPLING = SamplingParams(0.7, 40, max_completion_length=96)
#: Of an answer after each of its tokens, which makes answers of about 40 tokens.
CHANCE_OF_AN_END = 0.022
SIZES = {
    "0.9 M": {"hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 4, "num_attention_heads": 4},
    "5 M": {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 6, "num_attention_heads": 8},
}


@torch.no_grad()
def make_model(shape: dict[str, int]) -> LoadedModel:
    """A Llama of this shape that ends its answers with the same small probability after each token."""
    torch.manual_seed(0)
    tokenizer = load_model(seed_model("llama"), device="cpu").tokenizer
    end = tokenizer.eos_token_id
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=512, eos_token_id=end, bos_token_id=None,
        pad_token_id=tokenizer.pad_token_id, **shape,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).eval()
    # All embeddings share a direction that no row of the head but that of the end token looks at: a constant logit.
    shared = torch.nn.functional.normalize(torch.randn(config.hidden_size), dim=0)
    head = model.lm_head.weight
    model.model.embed_tokens.weight += shared
    head -= (head @ shared)[:, None] * shared
    ids = torch.randint(len(tokenizer), (64, 64))
    low, high = -2.0, 4.0
    for _ in range(25):
        head[end] = shared * (low + high) / 2
        likeliest = (model(ids).logits[:, 16:].flatten(0, 1) / SAMPLING.temperature).topk(SAMPLING.top_k)
        chance = (likeliest.values.softmax(-1) * (likeliest.indices == end)).sum(-1).mean().item()
        low, high = ((low + high) / 2, high) if chance < CHANCE_OF_AN_END else (low, (low + high) / 2)
    return LoadedModel(model, tokenizer, frozenset({end}))
