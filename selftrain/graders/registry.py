"""From what the setting `reward_funcs` holds to a judge."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from selftrain.errors import GraderError, SettingsError
from selftrain.graders.ablations import ABLATIONS, AlwaysOne, Majority, Shuffled
from selftrain.graders.base import Grader
from selftrain.graders.code.config import CodeConfig
from selftrain.graders.code.grader import CodeGrader
from selftrain.graders.math.grader import MathGrader
from selftrain.graders.reader import open_reader
from selftrain.graders.rewards.functions import RewardFunctionGrader, returned_none
from selftrain.graders.rewards.trl_arguments import RewardFunction
from selftrain.graders.text import choice_grader, exact_grader
from selftrain.types import Problem, Response, Score


class WeightedGrader(Grader):
    """The weighted sum of several judges.

    As in TRL, a reward function that returned None is left out of a row's sum, and a row that has no number at all
    is None. Unlike TRL, a row that one judge could not judge (a gold it cannot read, a function that raised) is
    unjudged: the sum of what is left would be taken for the verdict.
    """

    def __init__(self, graders: Sequence[Grader], weights: Sequence[float]) -> None:
        self.name = " + ".join(grader.name for grader in graders)
        self._graders, self._weights = tuple(graders), tuple(weights)
        self.scores_independently = all(grader.scores_independently for grader in graders)

    def grade(self, responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
        by_grader = [grader.grade(responses, problems) for grader in self._graders]
        return [self._sum(scores) for scores in zip(*by_grader, strict=True)]

    def evaluation_grader(self) -> Grader:
        return WeightedGrader([grader.evaluation_grader() for grader in self._graders], self._weights)

    def gold(self, problem: Problem) -> str | None:
        return self._graders[0].gold(problem)

    @property
    def facts(self) -> dict[str, str]:
        return {name: fact for grader in self._graders for name, fact in grader.facts.items()}

    @property
    def warning(self) -> str:
        return "\n".join(grader.warning for grader in self._graders if grader.warning)

    def close(self) -> None:
        for grader in self._graders:
            grader.close()

    def _sum(self, scores: Sequence[Score]) -> Score:
        none_reasons = [returned_none(grader.name) for grader in self._graders]
        unjudged = [s for s, none in zip(scores, none_reasons, strict=True) if s.value is None and s.reason != none]
        terms = [w * s.value for w, s in zip(self._weights, scores, strict=True) if s.value is not None]
        return Score(
            value=sum(terms) if terms and not unjudged else None,
            extracted_answer=next(
                (score.extracted_answer for score in scores if score.extracted_answer is not None), None
            ),
            reason="; ".join(score.reason for score in unjudged or scores if score.reason),
            seconds=sum(score.seconds for score in scores),
            extra_scores={name: verdict for score in scores for name, verdict in score.extra_scores.items()},
        )


#: Judges by name. Those that are no control also serve `selftrain grade`.
_NAMED: dict[str, Callable[[CodeConfig, int | None], Grader]] = {
    "math": lambda *_: MathGrader(),
    "choice": lambda *_: choice_grader(),
    "exact": lambda *_: exact_grader(),
    "code": CodeGrader,
    "always_one": lambda *_: AlwaysOne(),
}


def grader_names() -> tuple[str, ...]:
    """The names of judges that say what an answer is worth, and are no control."""
    return tuple(name for name in _NAMED if name not in ABLATIONS)


def open_grader(
    reward_funcs: str | RewardFunction | Sequence[str | RewardFunction],
    *,
    reward_weights: Sequence[float] | None = None,
    code: CodeConfig | None = None,
    programs_at_once: int | None = None,
) -> Grader:
    """The judge that `reward_funcs` names.

    Args:
        reward_funcs: "math", "choice", "exact", "code", a control ("always_one", "majority", "shuffled", or such as
            "shuffled:choice" with the judge it stands in for), a dotted path such as "my_rewards:length" or
            "trl.rewards.accuracy_reward", a function, or several of these.
        reward_weights: one weight for each; all 1 where None.
        code: how "code" judges.
        programs_at_once: by "code"; by default one for each processor.

    Raises:
        GraderError: there is no such judge. SettingsError: not as many weights as functions.
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
    graders = [_open_one(reward_func, code or CodeConfig(), programs_at_once) for reward_func in several]
    if len(graders) == 1 and reward_weights is None:
        return graders[0]
    return WeightedGrader(graders, reward_weights or [1.0] * len(graders))


def _open_one(reward_func: str | RewardFunction, code: CodeConfig, programs_at_once: int | None) -> Grader:
    if callable(reward_func):
        return RewardFunctionGrader(reward_func)
    if reward_func in _NAMED:
        return _NAMED[reward_func](code, programs_at_once)
    control, _, grader = reward_func.partition(":")
    if control == "majority":
        return Majority(open_reader(grader or "math"), reward_func)
    if control == "shuffled":
        return Shuffled(_open_one(grader or "math", code, programs_at_once), reward_func)
    return RewardFunctionGrader(_import(reward_func))


def _import(path: str) -> RewardFunction:
    module, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    names = ", ".join(map(repr, (*_NAMED, "majority", "shuffled")))
    known = f"Name one of {names}, or a function as 'package.module:function'."
    if not module or not name:
        raise GraderError(f"There is no judge {path!r}.", "It is no known name and no dotted path.", known)
    try:
        function: Any = importlib.import_module(module)
        for attribute in name.split("."):
            function = getattr(function, attribute)
    except (ImportError, AttributeError) as error:
        raise GraderError(
            f"The reward function {path!r} cannot be imported: {error}.",
            "Without it no answer can be judged.",
            f"Check the spelling, and that its folder is on PYTHONPATH. {known}",
        ) from error
    if not callable(function):
        raise GraderError(f"{path!r} is a {type(function).__name__}, not a function.", "It cannot be called.", known)
    return function  # type: ignore[no-any-return]
