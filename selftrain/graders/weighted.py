"""Several graders as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from selftrain.graders.base import Grader
from selftrain.graders.rewards.functions import returned_none
from selftrain.types import Problem, Response, Score


class WeightedGrader(Grader):
    """The weighted sum of several graders' scores.

    As in TRL, a reward function that returns None is left out of a row's sum, and a row without any number is None.
    Unlike TRL, a row that one grader leaves unjudged (unreadable gold, function raised) is unjudged as a whole:
    a partial sum would pass for the verdict.
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

    def gold_completion(self, problem: Problem) -> str | None:
        return self._graders[0].gold_completion(problem)

    @property
    def metadata(self) -> dict[str, str]:
        return {key: value for grader in self._graders for key, value in grader.metadata.items()}

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
            extracted_answer=next((s.extracted_answer for s in scores if s.extracted_answer is not None), None),
            reason="; ".join(score.reason for score in unjudged or scores if score.reason),
            seconds=sum(score.seconds for score in scores),
            extra_scores={name: verdict for score in scores for name, verdict in score.extra_scores.items()},
        )
