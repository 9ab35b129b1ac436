"""The answers of one unit while they are being written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from selftrain.engines.packed.stop_strings import StopTexts
from selftrain.engines.rng import uniforms
from selftrain.engines.sampler import sample_tokens
from selftrain.engines.transformers import Answer
from selftrain.types import SamplingParams


class DecodeState:
    """
    Args:
        starts: of the stream each answer is drawn with.
        end_tokens: `[vocabulary]`, true at the ids that end an answer.
        stop_texts: of each answer; empty where only end tokens end it.
        known: every tuple in `stop_texts` that is not empty.
    """

    def __init__(
        self,
        starts: Sequence[int],
        sampling: SamplingParams,
        end_tokens: Tensor,
        stop_texts: Sequence[tuple[str, ...]],
        known: Mapping[tuple[str, ...], StopTexts],
    ) -> None:
        self.sampling, self._end_tokens, self._stop_texts = sampling, end_tokens, stop_texts
        count, longest = len(starts), sampling.max_completion_length
        self._chance = torch.from_numpy(uniforms(starts, longest))
        self._token_ids = torch.zeros(count, longest, dtype=torch.long)
        self._logprobs = torch.zeros(count, longest)
        self._lengths = torch.zeros(count, dtype=torch.long)
        self._ended = torch.zeros(count, dtype=torch.bool)
        #: With the mask of the answers each of them can end.
        self._stops = [
            (known[stops], torch.tensor([one == stops for one in stop_texts])) for stops in {*stop_texts} - {()}
        ]

    def newest(self, rows: Tensor) -> Tensor:
        """The last token of some answers."""
        return self._token_ids[rows, self._lengths[rows] - 1]

    def write(self, rows: Tensor, logits: Tensor) -> Tensor:
        """Draws the next token of some answers and its log-probability at temperature 1; mask of those that go on."""
        places = self._lengths[rows]
        token = sample_tokens(logits, self._chance[rows, places], self.sampling)
        self._token_ids[rows, places] = token
        self._logprobs[rows, places] = logits.log_softmax(dim=-1).gather(-1, token[:, None]).squeeze(-1)
        self._lengths[rows] = places + 1
        ended = self._end_tokens[token]
        for stops, answers in self._stops:
            self._look_for(stops, rows, answers[rows] & stops.may_end(token) & ~ended, ended)
        self._ended[rows] = ended
        return ~ended & (places + 1 < self.sampling.max_completion_length)

    def _look_for(self, stops: StopTexts, rows: Tensor, where: Tensor, ended: Tensor) -> None:
        for place in where.nonzero().flatten().tolist():
            row = rows[place]
            ended[place] = stops.end(self._token_ids[row, : self._lengths[row]].tolist())

    def answers(self) -> list[Answer]:
        lengths = self._lengths.tolist()
        return [
            Answer(stops, ids[:length], logprobs[:length], ended)
            for stops, ids, logprobs, ended, length in zip(
                self._stop_texts, self._token_ids.tolist(), self._logprobs.tolist(), self._ended.tolist(), lengths,
                strict=True,
            )
        ]  # fmt: skip
