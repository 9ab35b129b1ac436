"""The contract of an engine: a model that answers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Protocol

from selftrain.types import Prompt, Response, SamplingParams

#: Puts weights into an empty folder, for `from_pretrained`.
Save = Callable[[Path], None]


class Engine(Protocol):
    """Two verbs and a plan.

    Laws, tested on every engine: answers come in prompt order and by sample index; a cut-off answer says so;
    `logprob` counts the completion and its end token only; the same key and weights give the same answers,
    whatever else is asked at the same time; the same unit gives the same bytes.
    """

    @property
    def name(self) -> str: ...

    @property
    def how(self) -> str:
        """What computes the answers, in words, for the record of a run; others once memory did not suffice."""
        ...

    def prompt_text(self, prompt: Prompt) -> str:
        """The very text the model is shown."""
        ...

    def too_long(self, prompts: Sequence[Prompt], max_completion_length: int) -> list[tuple[str, int]]:
        """Problem ids and prompt lengths, longest first, of prompts that leave no room for an answer."""
        ...

    def plan(self, prompts: Sequence[Prompt], n: int) -> list[list[int]]:
        """Cuts the work into units: lists of indices into `prompts`, a function of the arguments alone."""
        ...

    def generate(
        self,
        prompts: Sequence[Prompt],
        n: int,
        sampling: SamplingParams,
        key: str,
        weights_version: int,
        first: int = 0,
    ) -> list[Response]:
        """`n` answers to each prompt of one unit, with sample indices from `first` on."""
        ...

    def generate_units(
        self, units: Sequence[Sequence[Prompt]], n: int, sampling: SamplingParams, key: str, weights_version: int,
        first: int = 0,
    ) -> Generator[list[Response], None, None]:  # fmt: skip
        """The same for several units, in their order; they may be answered at the same time."""
        ...

    def logprob(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """log p(completion + end token | prompt) at temperature 1, in nats."""
        ...

    def num_tokens(self, completions: Sequence[str]) -> list[int]:
        """How many tokens `logprob` sums over for each completion, the end token among them."""
        ...

    def renew(self, save: Save) -> None:
        """The weights are others from now on; `save` writes them down for whoever holds a copy of its own."""
        ...

    def rest(self) -> None:
        """Nothing is asked for a while: gives back what memory it can."""
        ...

    def close(self) -> None: ...


class Live:
    """What an engine is spared that answers from the very weights that are trained, in this process."""

    def renew(self, save: Save) -> None:
        """They are the new ones already."""

    def rest(self) -> None:
        """The memory is the trainer's."""

    def close(self) -> None:
        """Nothing to give back: the weights belong to the trainer."""


class Before:
    """What an engine leaves to `slow`, which it stands before: the same model, shown and told in the same words."""

    slow: Engine

    @property
    def name(self) -> str:
        return self.slow.name

    def prompt_text(self, prompt: Prompt) -> str:
        return self.slow.prompt_text(prompt)

    def too_long(self, prompts: Sequence[Prompt], max_completion_length: int) -> list[tuple[str, int]]:
        return self.slow.too_long(prompts, max_completion_length)

    def num_tokens(self, completions: Sequence[str]) -> list[int]:
        return self.slow.num_tokens(completions)


class InTurn:
    """Units that are answered one after another."""

    def generate_units(
        self: Engine,
        units: Sequence[Sequence[Prompt]],
        n: int,
        sampling: SamplingParams,
        key: str,
        weights_version: int,
        first: int = 0,
    ) -> Generator[list[Response], None, None]:
        return (self.generate(unit, n, sampling, key, weights_version, first) for unit in units)


def units_by_length(lengths: Sequence[int], prompts_per_unit: int) -> list[list[int]]:
    """Prompts of like length together, so that little is padded; ties in the order they came."""
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    return [order[start : start + prompts_per_unit] for start in range(0, len(order), prompts_per_unit)]
