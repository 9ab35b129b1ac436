"""Answers from a decoder whose forward pass is ours: see docs/decisions for why and how."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from itertools import accumulate

import torch
from torch import Tensor

from selftrain.engines.base import Before, InTurn, Live, units_by_length
from selftrain.engines.oom_splitter import OomSplitter
from selftrain.engines.packed.architecture import Architecture
from selftrain.engines.packed.compiled_attention import can_compute
from selftrain.engines.packed.decode_state import DecodeState
from selftrain.engines.packed.decoder import Decoder
from selftrain.engines.packed.scoring import score
from selftrain.engines.packed.sequence_group import SequenceGroup
from selftrain.engines.packed.stop_strings import StopTexts
from selftrain.engines.packed.weights import fingerprint
from selftrain.engines.packed.worker_pool import WorkerPool
from selftrain.engines.rng import stream_start
from selftrain.engines.transformers import TransformersEngine
from selftrain.engines.workers.requests import Question
from selftrain.models.logprobs import torch_threads
from selftrain.types import Prompt, Response, SamplingParams

#: The next prompts are read once this share of the rows or less is being written: late enough to read several at a
#: time, early enough that no step is made for a handful of rows.
REFILL_BELOW = 0.5
#: Times over that the rows of a unit are filled, and the parameters up to which they are: of such a model a unit is a
#: matter of seconds.
TURNS = 2
SMALL = 30_000_000


class PackedEngine(Before, Live, InTurn):
    """Draws the tokens that `slow` would draw, several times as fast.

    Args:
        slow: the engine of the same live module; it renders, plans, and says what this engine says of a model.
        architecture: of its model.
        helpers: other processes that answer; None where this one is to be alone.
        compiled: attention is; None where it is if it can be.
    """

    slow: TransformersEngine

    def __init__(
        self, slow: TransformersEngine, architecture: Architecture, workers: WorkerPool | None = None, *,
        compiled: bool | None = None,
    ) -> None:  # fmt: skip
        self.slow, self.architecture, self._workers = slow, architecture, workers
        self.compiled = can_compute(architecture) if compiled is None else compiled
        self._decoders: dict[bool, Decoder] = {}
        self._packed_from: tuple[object, ...] = ()
        self._stops: dict[tuple[str, ...], StopTexts] = {}
        self._splitter = OomSplitter()
        self._small = sum(one.numel() for one in slow.model.parameters()) <= SMALL
        vocabulary = slow.model.get_input_embeddings().num_embeddings
        self._end_tokens = torch.zeros(vocabulary, dtype=torch.bool)
        self._end_tokens[[one for one in slow.renderer.stop_ids if one < vocabulary]] = True

    @property
    def how(self) -> str:
        how = "our own forward pass" + ", attention compiled" * self.compiled
        return how + ", matrix products in bfloat16" * self.slow.bf16 + self._splitter.note

    def close(self) -> None:
        self._decoders.clear()
        if self._workers is not None:
            self._workers.close()
        self.slow.close()

    def plan(self, prompts: Sequence[Prompt], n: int) -> list[list[int]]:
        """Of a small model units of more answers than are written at once, so that those that wait take the place of
        those that ended, but two units at least, so that there is one for a second process. Of a large one only so
        many answers, since what a killed run loses is a unit for each model.
        """
        lengths, rows = [len(self.slow.renderer.prompt_ids(prompt)) for prompt in prompts], self.slow.rows
        if self._small:
            rows = max(rows // 2, min(TURNS * rows, len(prompts) * n // 2))
        return units_by_length(lengths, max(1, rows // n))

    def _decoder(self, *, bf16: bool) -> Decoder:
        """With the weights as they are now: whoever changed them, and however."""
        now = fingerprint(self.slow.model)
        if now != self._packed_from:
            self._decoders.clear()
            self._packed_from = now
        if bf16 not in self._decoders:
            self._decoders[bf16] = Decoder(self.slow.model, self.architecture, compiled=self.compiled, bf16=bf16)
        return self._decoders[bf16]

    @torch.inference_mode()
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

        with self._threads():
            return self._splitter.sample_tokens(answer, prompts, n, first)

    def _generate(
        self, prompts: Sequence[Prompt], n: int, sampling: SamplingParams, key: str, weights_version: int, first: int
    ) -> list[Response]:
        ids = [self.slow.renderer.prompt_ids(prompt) for prompt in prompts]
        if not all(ids):  # nothing to start from; what then happens is the model's affair
            return self.slow.generate(prompts, n, sampling, key, weights_version, first)
        decoder, state = self._decoder(bf16=self.slow.bf16), self._state(prompts, n, sampling, key, first)
        waiting = deque(sorted(range(len(prompts)), key=lambda i: len(ids[i])))
        groups: list[SequenceGroup] = []
        while waiting or groups:
            free = self.slow.rows - sum(len(one.rows) for one in groups)
            if waiting and (free >= self.slow.rows * (1 - REFILL_BELOW)):
                some = [waiting.popleft() for _ in range(min(len(waiting), max(1, free // n)))]
                rows = (torch.tensor(some)[:, None] * n + torch.arange(n)).flatten()
                new = SequenceGroup(decoder, [ids[i] for i in some], n, rows)
                new.keep(state.write(rows, new.first_logits()))
                groups.append(new)
            groups = [one for one in groups if len(one.rows)]
            if groups:
                _step(decoder, groups, state)
        return self.slow.responses(prompts, n, first, state.answers(), weights_version)

    def generate_units(
        self, units: Sequence[Sequence[Prompt]], n: int, sampling: SamplingParams, key: str, weights_version: int,
        first: int = 0,
    ) -> Generator[list[Response], None, None]:  # fmt: skip
        if self._workers is None or not self._small:
            return super().generate_units(units, n, sampling, key, weights_version, first)

        def ask(unit: Sequence[Prompt]) -> list[Response]:
            return self.generate(unit, n, sampling, key, weights_version, first)

        return self._workers.answer(
            units, ask, Question(n, sampling, key, weights_version, first), self.slow.model,
            fingerprint(self.slow.model), self.prompt_text, self.name,
        )  # fmt: skip

    def _state(self, prompts: Sequence[Prompt], n: int, sampling: SamplingParams, key: str, first: int) -> DecodeState:
        starts = [stream_start(key, prompt.problem_id, first + place) for prompt in prompts for place in range(n)]
        stop_texts = [self.slow.renderer.stop_texts(prompt) for prompt in prompts for _ in range(n)]
        for texts in {*stop_texts} - {(), *self._stops}:
            self._stops[texts] = StopTexts(self.slow.renderer, texts, len(self._end_tokens))
        return DecodeState(starts, sampling, self._end_tokens, stop_texts, self._stops)

    @torch.inference_mode()
    def logprob(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        rows = self.slow.renderer.tokenize_completions(prompts, completions)
        if not all(row.prompt_length for row in rows):
            return self.slow.logprob(prompts, completions)
        with self._threads():
            return score(self._decoder(bf16=False), rows)

    def _threads(self) -> AbstractContextManager[None]:
        """A small model on one thread: a second wins little and costs much where anything else runs, and the bytes of
        sums differ by how many add them up, which no run is to depend on.
        """
        return torch_threads(1 if self._small else torch.get_num_threads())


def _step(decoder: Decoder, groups: Sequence[SequenceGroup], state: DecodeState) -> None:
    """One more token of every row. Linear layers see the rows of all cohorts as one batch, attention each by itself."""
    sizes = [len(one.rows) for one in groups]
    rows, positions = torch.cat([one.rows for one in groups]), torch.cat([one.positions() for one in groups])
    passes = [one.next_pass(first) for one, first in zip(groups, accumulate(sizes, initial=0), strict=False)]

    def attend(number: int, qkv: Tensor) -> Tensor:
        found = [one.attend(number, qkv) for one in passes]
        return found[0] if len(found) == 1 else torch.cat(found)

    live = state.write(rows, decoder.logits(decoder.hidden(state.newest(rows), positions, attend)))
    for one, its_live in zip(groups, live.split(sizes), strict=True):
        one.passed(its_live)
