"""From what the setting `reward_funcs` holds to a judge."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from selftrain.code_tasks import CodeJudging
from selftrain.errors import JudgeError, SettingsError
from selftrain.grading.code_judge import CodeJudge
from selftrain.grading.controls import CONTROLS, AlwaysOne, Majority, Shuffled
from selftrain.grading.judge import Judge
from selftrain.grading.math_judge import MathJudge
from selftrain.grading.reader import open_reader
from selftrain.grading.reward_functions import RewardFunctionJudge, returned_none
from selftrain.grading.text_judges import choice_judge, exact_judge
from selftrain.grading.trl_arguments import RewardFunction
from selftrain.types import Problem, Response, Score


class WeightedJudge(Judge):
    """The weighted sum of several judges.

    As in TRL, a reward function that returned None is left out of a row's sum, and a row that has no number at all
    is None. Unlike TRL, a row that one judge could not judge (a gold it cannot read, a function that raised) is
    unjudged: the sum of what is left would be taken for the verdict.
    """

    def __init__(self, judges: Sequence[Judge], weights: Sequence[float]) -> None:
        self.name = " + ".join(judge.name for judge in judges)
        self._judges, self._weights = tuple(judges), tuple(weights)
        self.one_by_one = all(judge.one_by_one for judge in judges)

    def grade(self, responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
        by_judge = [judge.grade(responses, problems) for judge in self._judges]
        return [self._sum(scores) for scores in zip(*by_judge, strict=True)]

    def examiner(self) -> Judge:
        return WeightedJudge([judge.examiner() for judge in self._judges], self._weights)

    def gold(self, problem: Problem) -> str | None:
        return self._judges[0].gold(problem)

    @property
    def facts(self) -> dict[str, str]:
        return {name: fact for judge in self._judges for name, fact in judge.facts.items()}

    @property
    def warning(self) -> str:
        return "\n".join(judge.warning for judge in self._judges if judge.warning)

    def close(self) -> None:
        for judge in self._judges:
            judge.close()

    def _sum(self, scores: Sequence[Score]) -> Score:
        none_reasons = [returned_none(judge.name) for judge in self._judges]
        unjudged = [s for s, none in zip(scores, none_reasons, strict=True) if s.value is None and s.reason != none]
        terms = [w * s.value for w, s in zip(self._weights, scores, strict=True) if s.value is not None]
        return Score(
            value=sum(terms) if terms and not unjudged else None,
            answer=next((score.answer for score in scores if score.answer is not None), None),
            reason="; ".join(score.reason for score in unjudged or scores if score.reason),
            seconds=sum(score.seconds for score in scores),
            others={name: verdict for score in scores for name, verdict in score.others.items()},
        )


#: Judges by name. Those that are no control also serve `selftrain grade`.
_NAMED: dict[str, Callable[[CodeJudging, int | None], Judge]] = {
    "math": lambda *_: MathJudge(),
    "choice": lambda *_: choice_judge(),
    "exact": lambda *_: exact_judge(),
    "code": CodeJudge,
    "always_one": lambda *_: AlwaysOne(),
}


def honest_judges() -> tuple[str, ...]:
    """The names of judges that say what an answer is worth, and are no control."""
    return tuple(name for name in _NAMED if name not in CONTROLS)


def open_judge(
    reward_funcs: str | RewardFunction | Sequence[str | RewardFunction],
    *,
    reward_weights: Sequence[float] | None = None,
    code: CodeJudging | None = None,
    programs_at_once: int | None = None,
) -> Judge:
    """The judge that `reward_funcs` names.

    Args:
        reward_funcs: "math", "choice", "exact", "code", a control ("always_one", "majority", "shuffled", or such as
            "shuffled:choice" with the judge it stands in for), a dotted path such as "my_rewards:length" or
            "trl.rewards.accuracy_reward", a function, or several of these.
        reward_weights: one weight for each; all 1 where None.
        code: how "code" judges.
        programs_at_once: by "code"; by default one for each processor.

    Raises:
        JudgeError: there is no such judge. SettingsError: not as many weights as functions.
        SandboxError: "code" is asked for, and nothing on this machine holds model code.
    """
    several = [reward_funcs] if isinstance(reward_funcs, str) or callable(reward_funcs) else list(reward_funcs)
    if not several:
        raise SettingsError("reward_funcs is empty.", "Answers need a judge.", 'Name one, such as "math".')
    if reward_weights is not None and len(reward_weights) != len(several):
        raise SettingsError(
            f"reward_weights has {len(reward_weights)} weights, reward_funcs {len(several)} functions.",
            "Each function has one weight.",
            "Give as many weights as functions, or none.",
        )
    judges = [_open_one(reward_func, code or CodeJudging(), programs_at_once) for reward_func in several]
    if len(judges) == 1 and reward_weights is None:
        return judges[0]
    return WeightedJudge(judges, reward_weights or [1.0] * len(judges))


def _open_one(reward_func: str | RewardFunction, code: CodeJudging, programs_at_once: int | None) -> Judge:
    if callable(reward_func):
        return RewardFunctionJudge(reward_func)
    if reward_func in _NAMED:
        return _NAMED[reward_func](code, programs_at_once)
    control, _, judge = reward_func.partition(":")
    if control == "majority":
        return Majority(open_reader(judge or "math"), reward_func)
    if control == "shuffled":
        return Shuffled(_open_one(judge or "math", code, programs_at_once), reward_func)
    return RewardFunctionJudge(_import(reward_func))


def _import(path: str) -> RewardFunction:
    module, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    names = ", ".join(map(repr, (*_NAMED, "majority", "shuffled")))
    known = f"Name one of {names}, or a function as 'package.module:function'."
    if not module or not name:
        raise JudgeError(f"There is no judge {path!r}.", "It is no known name and no dotted path.", known)
    try:
        function: Any = importlib.import_module(module)
        for attribute in name.split("."):
            function = getattr(function, attribute)
    except (ImportError, AttributeError) as error:
        raise JudgeError(
            f"The reward function {path!r} cannot be imported: {error}.",
            "Without it no answer can be judged.",
            f"Check the spelling, and that its folder is on PYTHONPATH. {known}",
        ) from error
    if not callable(function):
        raise JudgeError(f"{path!r} is a {type(function).__name__}, not a function.", "It cannot be called.", known)
    return function  # type: ignore[no-any-return]
