"""The completions of one batch while they are decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from selftrain.engines.completion import Completion
from selftrain.engines.packed.stop_strings import StopStrings
from selftrain.engines.request import GenerateRequest
from selftrain.engines.rng import uniforms
from selftrain.engines.sampler import sample_with_logprobs


class DecodeState:
    """
    Args:
        request: the batch.
        stop_strings: of each completion; empty where only end tokens end it.
        matchers: by every non-empty tuple in `stop_strings`.
        end_tokens: `[vocabulary]`, true at the ids that end a completion.
    """

    def __init__(
        self,
        request: GenerateRequest,
        stop_strings: Sequence[tuple[str, ...]],
        matchers: Mapping[tuple[str, ...], StopStrings],
        end_tokens: Tensor,
    ) -> None:
        self._params, self._stop_strings, self._end_tokens = request.params, stop_strings, end_tokens
        count, longest = request.num_responses, request.params.max_completion_length
        self._draws = torch.from_numpy(uniforms(request.stream_starts(), longest))
        self._token_ids = torch.zeros(count, longest, dtype=torch.long)
        self._logprobs = torch.zeros(count, longest)
        self._lengths = torch.zeros(count, dtype=torch.long)
        self._ended = torch.zeros(count, dtype=torch.bool)
        #: Each with the mask of the completions that it can end.
        self._matchers = [
            (matchers[strings], torch.tensor([own == strings for own in stop_strings]))
            for strings in {*stop_strings} - {()}
        ]

    def newest(self, rows: Tensor) -> Tensor:
        """The last token of some completions."""
        return self._token_ids[rows, self._lengths[rows] - 1]

    def append(self, rows: Tensor, logits: Tensor) -> Tensor:
        """Samples the next token of some completions.

        Returns:
            The mask of those `rows` that are not finished.
        """
        places = self._lengths[rows]
        token, logprobs = sample_with_logprobs(logits, self._draws[rows, places], self._params)
        self._token_ids[rows, places], self._logprobs[rows, places] = token, logprobs
        self._lengths[rows] = places + 1
        ended = self._end_tokens[token]
        for matcher, mask in self._matchers:
            for place in (mask[rows] & matcher.may_end(token) & ~ended).nonzero().flatten().tolist():
                row = rows[place]
                ended[place] = matcher.end(self._token_ids[row, : self._lengths[row]].tolist())
        self._ended[rows] = ended
        return ~ended & (places + 1 < self._params.max_completion_length)

    def completions(self) -> list[Completion]:
        return [
            Completion(strings, ids[:length], logprobs[:length], ended)
            for strings, ids, logprobs, ended, length in zip(
                self._stop_strings,
                self._token_ids.tolist(),
                self._logprobs.tolist(),
                self._ended.tolist(),
                self._lengths.tolist(),
                strict=True,
            )
        ]
