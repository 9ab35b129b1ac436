"""Whether figures of several runs mean the same: what graded their answers, and how these came about."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from selftrain.config import settings_of
from selftrain.graders import is_ablation
from selftrain.models.prompts import PromptConfig
from selftrain.report.run_report import acting_settings
from selftrain.storage import RunFolder
from selftrain.types import RIGHT

#: Settings of prompts that change none which a model alone is shown.
_NO_PROMPT = ("long_prompts", "min_read_share", "peer_layout", "peer_template")
#: Settings that change an answer, besides those of prompts.
_ANSWERING = ("max_completion_length", "engine", "bf16", "load_in_4bit")
#: Settings of the grader "code" that change a verdict in an evaluation.
_OF_CODE = ("run_model_code", "weak_tests", "test_timeout")
#: Share of equal answers with unequal rewards up to which graders count as one: a program near its time limit passes
#: once and fails once.
_BY_CHANCE = 0.02


@dataclass(frozen=True)
class GreedyAnswers:
    """Of one model in the base round and in the one that its run reports.

    Args:
        rows: question, reference, prompt, completion, reward and round of every judged answer.
        round: the one that is reported.
    """

    rows: Sequence[tuple[str, str | None, str, str, float, int]]
    round: int

    @classmethod
    def read(cls, folder: RunFolder, model: str | None, number: int) -> GreedyAnswers:
        """Of any model where it is None: `selftrain eval` has one in each round."""
        found = folder.rows(
            "select question, reference, prompt, completion, reward, round, model from evaluations "
            f"where greedy and reward is not null and round in (0, {number:d})"
        )
        return cls([row[:6] for row in found if model in (None, row[6])], number)

    @cached_property
    def right(self) -> dict[str, float]:
        """Of the reported round: question with its gold answer -> whether the answer was right."""
        return {_key(*row[:2]): float(row[4] >= RIGHT) for row in self.rows if row[5] == self.round}

    @cached_property
    def prompts(self) -> dict[str, str]:
        return {_key(*row[:2]): row[2] for row in self.rows}

    @cached_property
    def rewards(self) -> dict[str, float]:
        """Question, gold answer and answer -> reward."""
        return {_key(*row[:2], row[3]): row[4] for row in self.rows}

    @cached_property
    def questions(self) -> set[str]:
        return {row[0] for row in self.rows}


def _key(*texts: str | None) -> str:
    """A question with another gold answer is another one."""
    return json.dumps(texts)


def graded_unlike(one: GreedyAnswers, other: GreedyAnswers) -> tuple[int, int]:
    """How many answers that both have, word for word, have unequal rewards; and how many both have. 0 of the first
    where chance explains them.
    """
    both = one.rewards.keys() & other.rewards.keys()
    unlike = sum(one.rewards[key] != other.rewards[key] for key in both)
    return unlike if unlike > _BY_CHANCE * len(both) else 0, len(both)


def prompted_unlike(one: GreedyAnswers, other: GreedyAnswers) -> int:
    """How many questions of both stood in another prompt."""
    both = one.prompts.keys() & other.prompts.keys()
    return sum(one.prompts[key] != other.prompts[key] for key in both)


def other_gold_answers(one: GreedyAnswers, other: GreedyAnswers) -> int:
    """How many questions of both have another gold answer in each."""
    return len(one.questions & other.questions) - len(one.prompts.keys() & other.prompts.keys())


@dataclass(frozen=True)
class Conditions:
    """What else decides an answer's text and its verdict.

    Conditions("math", {"engine": "auto", "num_fewshot": 8})
    """

    #: The grader with what changes its verdicts; empty where nobody has written it down.
    grader: str
    #: Settings that change an answer.
    answering: Mapping[str, Any]

    @classmethod
    def of(cls, folder: RunFolder) -> Conditions:
        settings = acting_settings(folder)
        named = [target.name for target in settings_of(PromptConfig) if target.name not in _NO_PROMPT]
        return cls(
            _grader(folder.environment().get("grader"), settings),
            {name: settings[name] for name in (*_ANSWERING, *named) if name in settings},
        )


def _grader(recorded: Any, settings: Mapping[str, Any]) -> str:
    name = str(recorded.get("name", "")) if isinstance(recorded, Mapping) else ""
    given, weights = settings.get("reward_funcs") or (), settings.get("reward_weights") or ()
    # Evaluations use the data set's own grader in place of an ablation, and where the method has none.
    if given and not any(is_ablation(str(one)) for one in given):
        name = " + ".join(map(str, given)) + (
            f" weighted {', '.join(f'{one:g}' for one in weights)}" if weights else ""
        )
    if "code" in name.split(" + "):
        name += "".join(f", {setting} {settings[setting]}" for setting in _OF_CODE if setting in settings)
    return name
