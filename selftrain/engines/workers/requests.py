"""A question about units of prompts in a form that travels between processes, and its answers on the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from selftrain.engines.base import Engine
from selftrain.storage.rows import response_row, responses_of
from selftrain.types import Prompt, Response, SamplingParams


@dataclass(frozen=True)
class Question:
    """The arguments of `Engine.generate` that are the same for all units.

    Question(n=8, sampling=Sampling(0.7, 40), key="42/1/samples/llama", weights_version=0, first=0)
    """

    n: int
    sampling: SamplingParams
    key: str
    weights_version: int
    first: int

    def of(self, unit: Sequence[Prompt]) -> dict[str, Any]:
        """JSON, for `answer` in another process."""
        return {
            "prompts": [[one.problem_id, one.question, one.few_shot, one.peer_answers] for one in unit], "n": self.n,
            "sampling": asdict(self.sampling), "key": self.key, "version": self.weights_version, "first": self.first,
        }  # fmt: skip

    def responses(
        self, rows: Sequence[Mapping[str, Any]], unit: Sequence[Prompt], text: Callable[[Prompt], str], model: str
    ) -> list[Response]:
        """What came back, with the prompts as they were asked; `text` is what the model was shown."""
        return responses_of(rows, unit, self.n, text, model)


def answer(engine: Engine, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    prompts = [
        Prompt(problem_id, question, tuple((shown, solution) for shown, solution in few_shot), tuple(peer_answers))
        for problem_id, question, few_shot, peer_answers in asked["prompts"]
    ]
    responses = engine.generate(
        prompts, asked["n"], SamplingParams(**asked["sampling"]), asked["key"], asked["version"], asked["first"]
    )
    return [response_row(one) for one in responses]


def problems_of(unit: Sequence[Prompt]) -> str:
    """Names a unit in an error."""
    return f"answers to {', '.join(repr(one.problem_id) for one in unit[:5])}" + (
        f" and {len(unit) - 5} more" if len(unit) > 5 else ""
    )
