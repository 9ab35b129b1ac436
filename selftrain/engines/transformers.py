"""Any causal language model of transformers, answering from the live module that the trainer trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from selftrain.engines.base import InTurn, Live, units_by_length
from selftrain.engines.oom_splitter import OomSplitter
from selftrain.engines.rng import stream_start, uniforms
from selftrain.engines.sampler import sample_tokens
from selftrain.models.loading import load_model
from selftrain.models.logprobs import autocast, evaluating, sequence_logprobs
from selftrain.models.prompts import PromptConfig
from selftrain.models.rendering import Renderer
from selftrain.types import FinishReason, Prompt, Response, SamplingParams

#: Rows are thrown out of the batch once this share of them has finished: less often would compute for
#: nothing, more often would copy the cache for little.
COMPACT_BELOW = 0.8


@dataclass
class Answer:
    """One answer, written or being written.

    Answer(stop_texts=("\n\nQuestion:",), token_ids=[5, 9, 2], logprobs=[-1.5, -0.25, -0.1], ended=True)
    """

    #: What ends it besides an end token.
    stop_texts: tuple[str, ...]
    token_ids: list[int] = field(default_factory=list)
    #: Of each token at temperature 1, in nats.
    logprobs: list[float] = field(default_factory=list)
    ended: bool = False


@dataclass
class _Unit:
    """The state of one batch while it is being answered. Live rows stand first to last, as in `rows`."""

    answers: list[Answer]
    #: Which answer each row of the tensors is.
    rows: list[int]
    cache: Any
    mask: Tensor | None
    positions: Tensor


class TransformersEngine(Live, InTurn):
    """Samples with a loop of our own around the model's forward pass.

    All samples of a prompt share one pass over the prompt; finished rows leave the batch.

    Args:
        model: a causal language model with a key-value cache, in evaluation as in training the same module.
        renderer: its tokenizer and prompt layout.
        name: how samples name this model.
        rows: answers computed at once; a unit has this many rows, or those of one prompt if they are more.
        score_tokens: token budget of one batch in `logprob`.
        bf16: answer under bfloat16 autocast; tokens are drawn from float32 logits all the same.
    """

    def __init__(
        self, model: Any, renderer: Renderer, name: str, rows: int = 128, score_tokens: int = 4096, bf16: bool = False
    ) -> None:
        self.model, self.renderer, self._name, self.bf16 = model, renderer, name, bf16
        self.rows, self.score_tokens = rows, score_tokens
        self._stop = torch.tensor(sorted(renderer.stop_ids), device=model.device)
        #: Why it answers itself, where something else might.
        self.reason = ""
        self._splitter = OomSplitter()

    @classmethod
    def load(
        cls, *, model: str, revision: str, prompt_config: PromptConfig, device: str, name: str, rows: int, bf16: bool,
        load_in_4bit: bool = False,
    ) -> TransformersEngine:  # fmt: skip
        """
        Raises:
            ModelError: the model cannot be loaded.
        """
        loaded = load_model(model, revision=revision, device=device, load_in_4bit=load_in_4bit)
        return cls(loaded.model, Renderer(loaded.tokenizer, prompt_config, loaded.stop_ids), name, rows, bf16=bf16)

    @property
    def name(self) -> str:
        return self._name

    @property
    def how(self) -> str:
        return f"transformers' own forward pass{self.reason}{self._splitter.note}"

    def prompt_text(self, prompt: Prompt) -> str:
        return self.renderer.text(prompt)

    def too_long(self, prompts: Sequence[Prompt], max_completion_length: int) -> list[tuple[str, int]]:
        room = getattr(self.model.config, "max_position_embeddings", None)
        return [] if room is None else self.longer_than(room - max_completion_length, prompts)

    def longer_than(self, limit: int, prompts: Sequence[Prompt]) -> list[tuple[str, int]]:
        """Problem ids and lengths of prompts of more tokens than `limit`, longest first."""
        lengths = [(prompt.problem_id, len(self.renderer.prompt_ids(prompt))) for prompt in prompts]
        return sorted((one for one in lengths if one[1] > limit), key=lambda one: -one[1])

    def plan(self, prompts: Sequence[Prompt], n: int) -> list[list[int]]:
        lengths = [len(self.renderer.prompt_ids(prompt)) for prompt in prompts]
        return units_by_length(lengths, max(1, self.rows // n))

    def generate(
        self,
        prompts: Sequence[Prompt],
        n: int,
        sampling: SamplingParams,
        key: str,
        weights_version: int,
        first: int = 0,
    ) -> list[Response]:
        def answer(some: Sequence[Prompt], of_each: int, start: int) -> list[Response]:
            return self._generate(some, of_each, sampling, key, weights_version, start)

        with evaluating(self.model):
            return self._splitter.sample_tokens(answer, prompts, n, first)

    @torch.inference_mode()
    def _generate(
        self, prompts: Sequence[Prompt], n: int, sampling: SamplingParams, key: str, weights_version: int, first: int
    ) -> list[Response]:
        ids = [self.renderer.prompt_ids(prompt) for prompt in prompts]
        self._stop = self._stop.to(self.model.device)  # it may have moved
        starts = [stream_start(key, prompt.problem_id, first + place) for prompt in prompts for place in range(n)]
        chance = torch.from_numpy(uniforms(starts, sampling.max_completion_length)).to(self.model.device)
        answers = [Answer(self.renderer.stop_texts(prompt)) for prompt in prompts for _ in range(n)]
        unit, logits = self._prefill(ids, n, answers)
        for step in range(sampling.max_completion_length):
            token = sample_tokens(logits, chance[unit.rows, step], sampling)
            self._write(unit, token, logits)
            live = [place for place, row in enumerate(unit.rows) if not unit.answers[row].ended]
            if not live or step + 1 == sampling.max_completion_length:
                break
            if len(live) < COMPACT_BELOW * len(unit.rows):
                token = self._compact(unit, live, token)
            logits = self._step(unit, token)
        return self.responses(prompts, n, first, answers, weights_version)

    def _prefill(self, ids: list[list[int]], n: int, answers: list[Answer]) -> tuple[_Unit, Tensor]:
        """One pass over the prompts, then `n` rows for each of them."""
        device = self.model.device
        longest = max(map(len, ids))
        # Padding stands in front, so that all rows write their next token in the same column.
        padded = torch.tensor([[self.renderer.pad_id] * (longest - len(row)) + row for row in ids], device=device)
        lengths = torch.tensor([len(row) for row in ids], device=device)
        # Without padding there is nothing to mask, and attention takes its fast path.
        mask = None
        if int(lengths.min()) < longest:
            mask = (torch.arange(longest, device=device) >= longest - lengths[:, None]).long()
        positions = (torch.arange(longest, device=device) - (longest - lengths)[:, None]).clamp_(min=0)
        cache = DynamicCache(config=self.model.config)
        out = self._forward(
            input_ids=padded, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
            logits_to_keep=1,
        )  # fmt: skip
        cache.batch_repeat_interleave(n)
        unit = _Unit(
            answers=answers,
            rows=list(range(len(answers))),
            cache=cache,
            mask=None if mask is None else mask.repeat_interleave(n, dim=0),
            positions=lengths.repeat_interleave(n),
        )
        return unit, out.logits[:, -1].float().repeat_interleave(n, dim=0)

    def _forward(self, **inputs: Any) -> Any:
        with autocast(self.model, self.bf16):
            return self.model(**inputs)

    def _write(self, unit: _Unit, token: Tensor, logits: Tensor) -> None:
        """Appends the drawn tokens to the rows that still write, with their log-probability at temperature 1."""
        logprob = logits.gather(-1, token[:, None]).squeeze(-1) - logits.logsumexp(dim=-1)
        ends = torch.isin(token, self._stop)
        for row, one, its_logprob, is_end in zip(
            unit.rows, token.tolist(), logprob.tolist(), ends.tolist(), strict=True
        ):
            answer = unit.answers[row]
            if not answer.ended:
                answer.token_ids.append(one)
                answer.logprobs.append(its_logprob)
                answer.ended = is_end or at_stop_text(self.renderer, answer.token_ids, answer.stop_texts)

    def _compact(self, unit: _Unit, live: list[int], token: Tensor) -> Tensor:
        keep = torch.tensor(live, device=token.device)
        unit.cache.batch_select_indices(keep)
        unit.rows = [unit.rows[place] for place in live]
        unit.mask = None if unit.mask is None else unit.mask[keep]
        unit.positions = unit.positions[keep]
        return token[keep]

    def _step(self, unit: _Unit, token: Tensor) -> Tensor:
        if unit.mask is not None:
            unit.mask = torch.cat([unit.mask, unit.mask.new_ones(len(unit.mask), 1)], dim=-1)
        out = self._forward(
            input_ids=token[:, None], attention_mask=unit.mask, position_ids=unit.positions[:, None],
            past_key_values=unit.cache, use_cache=True,
        )  # fmt: skip
        unit.positions = unit.positions + 1
        logits: Tensor = out.logits[:, -1].float()
        return logits

    def responses(
        self, prompts: Sequence[Prompt], n: int, first: int, answers: Sequence[Answer], weights_version: int
    ) -> list[Response]:
        """Of `n` answers to each prompt, with sample indices from `first` on."""
        return [
            self._response(prompt, first + place, answers[number * n + place], weights_version)
            for number, prompt in enumerate(prompts)
            for place in range(n)
        ]

    def _response(self, prompt: Prompt, index: int, answer: Answer, weights_version: int) -> Response:
        finish: FinishReason = "stop" if answer.ended else "length"
        token_ids, text = self.renderer.cut(answer.token_ids, answer.stop_texts)
        return Response(
            prompt=prompt,
            prompt_text=self.renderer.text(prompt),
            sample_index=index,
            text=text,
            token_ids=token_ids,
            # Tokens that a stop text cut off are none of the answer's.
            logprob=sum(answer.logprobs[: len(token_ids)]),
            finish_reason=finish,
            model=self.name,
            weights_version=weights_version,
        )

    def logprob(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """In float32 whatever the setting: texts are weighed by it, and bfloat16 moves one by half a nat."""
        rows = self.renderer.tokenize_completions(prompts, completions)
        return sequence_logprobs(self.model, rows, self.renderer.pad_id, self.score_tokens)

    def num_tokens(self, completions: Sequence[str]) -> list[int]:
        return [len(self.renderer.completion_ids(text)) for text in completions]


def at_stop_text(renderer: Renderer, token_ids: Sequence[int], stop_texts: tuple[str, ...]) -> bool:
    """Whether the newest tokens hold a text that ends an answer."""
    if not stop_texts:
        return False
    # A token writes at least one byte of UTF-8, so this tail is long enough to hold any stop text.
    longest = max(len(text.encode()) for text in stop_texts)
    tail = renderer.completion_text(token_ids[-longest - 1 :])
    return any(text in tail for text in stop_texts)
