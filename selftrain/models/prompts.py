"""The prompt of a problem, the same for sampling, training and evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from selftrain.config import config_dataclass, setting
from selftrain.errors import SettingsError
from selftrain.types import Problem, Prompt


@config_dataclass
class PromptConfig:
    """The layout of prompts. Shown in full before a run starts; stored with every sample."""

    prompt_format: Literal["auto", "chat", "plain"] = setting(
        "auto",
        "'chat' uses the tokenizer's chat template, 'plain' uses prompt_template; 'auto' is chat where there is one",
    )
    prompt_template: str = setting(
        "Question: {question}\nAnswer:", "plain layout of one question; {question} is replaced"
    )
    chat_start_token: Literal["template", "tokenizer"] = setting(
        "template",
        "who writes the start token of a chat prompt: the chat template alone, or the tokenizer where the template has "
        "not, as lm-eval does it",
        source="transformers' apply_chat_template",
    )
    instruction: str = setting(
        "",
        "text before the first question (plain), or the system message (chat); where a chat template takes none, the "
        "start of the first question",
    )
    stop_strings: tuple[str, ...] = setting(
        (),
        "texts that end a response and are not part of it, for base models that would continue: for HumanEval "
        "$'\\ndef' $'\\nprint' and the like",
        source="off, as in transformers",
    )
    num_fewshot: int = setting(
        0,
        "worked examples before each question, in sampling, training and evaluation alike; sampled once from training "
        "problems with a human solution, which are then used for nothing else",
        source="ours; the paper uses a fixed few-shot prompt whose text it does not print",
        ge=0,
    )
    long_prompts: Literal["error", "drop"] = setting(
        "error", "what to do with problems whose prompt leaves no room for a response; 'drop' drops and counts them"
    )

    def check(self) -> None:
        if "{question}" not in self.prompt_template:
            raise SettingsError(
                f"prompt_template is {self.prompt_template!r}, which has no {{question}}",
                "every prompt would be the same text",
                "write it with {question}, for example 'Question: {question}\\nAnswer:'",
            )
        if "" in self.stop_strings:
            raise SettingsError(
                "stop_strings has an empty string", "every response would be empty", "remove the empty string"
            )

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of `dataclasses.asdict`, also after a round trip through JSON."""
        return cls(**{**fields, "stop_strings": tuple(fields["stop_strings"])})


def make_prompts(problems: Sequence[Problem], few_shot: tuple[tuple[str, str], ...] = ()) -> list[Prompt]:
    return [Prompt(problem.id, problem.question, few_shot) for problem in problems]
