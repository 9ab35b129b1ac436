"""How a problem is put to a model: the one setting that is the same for sampling, training and evaluating."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from selftrain.config import check_types, setting
from selftrain.errors import SettingsError
from selftrain.types import Problem, Prompt


@dataclass(frozen=True, kw_only=True)
class PromptConfig:
    """The layout of prompts. Shown in full before a run starts; stored with every sample."""

    prompt_format: Literal["auto", "chat", "plain"] = setting(
        "auto",
        "'chat' uses the tokenizer's chat template, 'plain' the template below; 'auto' takes chat where there is one",
    )
    prompt_template: str = setting(
        "Question: {question}\nAnswer:", "plain layout of one question; {question} is filled in"
    )
    instruction: str = setting("", "put in front of the first question (plain) or sent as system message (chat)")
    stop_strings: tuple[str, ...] = setting(
        (),
        "texts that end an answer and are no part of it, for base models that would go on: for HumanEval "
        "$'\\ndef' $'\\nprint' and the like",
        source="off, as in transformers",
    )
    num_fewshot: int = setting(
        0,
        "worked examples shown before each question, in sampling, training and evaluation alike; they are drawn once "
        "from training problems that have a human solution, and those problems are then used for nothing else",
        source="ours; the paper uses a fixed few-shot prompt whose text it does not print",
    )

    long_prompts: Literal["error", "drop"] = setting(
        "error", "what to do with problems whose prompt leaves no room for an answer; 'drop' leaves them out, counted"
    )

    def __post_init__(self) -> None:
        check_types(self)
        if "{question}" not in self.prompt_template:
            raise SettingsError(
                f"prompt_template is {self.prompt_template!r}, which has no {{question}}",
                "every prompt would be the same text",
                "write it with {question}, for example 'Question: {question}\\nAnswer:'",
            )
        if "" in self.stop_strings:
            raise SettingsError("a stop string is empty", "every answer would end before it begins", "leave it out")
        if self.num_fewshot < 0:
            raise SettingsError(f"num_fewshot is {self.num_fewshot}", "it counts examples", "use 0 or more")

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """From `dataclasses.asdict` of one, read back from JSON or not."""
        return cls(**{**told, "stop_strings": tuple(told["stop_strings"])})


def make_prompts(problems: Sequence[Problem], few_shot: tuple[tuple[str, str], ...] = ()) -> list[Prompt]:
    return [Prompt(problem.id, problem.question, few_shot) for problem in problems]
