"""What a judge is, and the question it must pass first: can it read its own gold answers?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from selftrain.errors import GraderError
from selftrain.types import Problem, Prompt, Response, Score


class Grader(Protocol):
    """Scores answers. One `Score` a response, in their order; `Score.value` None is "unjudged", never "wrong".

    May be used as a context manager, and from several threads.
    """

    name: str
    #: Whether what an answer is given depends on that answer alone, so that some can be judged before others are drawn.
    scores_independently: bool = False

    def grade(self, responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
        """The scores of `responses` to `problems` (by problem id).

        Raises:
            GraderError: the judge itself is broken. A run must stop then: no answer may pay for it.
        """
        ...

    def evaluation_grader(self) -> Grader:
        """The judge that evaluations ask: this one, unless what is rewarded is less than what is asked for."""
        return self

    def gold(self, problem: Problem) -> str | None:
        """An answer that this judge should find right; None where it cannot tell one."""
        gold = problem.reference or ""
        # Both usual forms, for judges that know but one. A gold that is a whole solution has its own.
        marked = "####" in gold or r"\boxed" in gold
        return gold if marked else f"The answer is $\\boxed{{{gold}}}$.\n#### {' '.join(gold.split())}"

    @property
    def facts(self) -> dict[str, str]:
        """What a run's record should say of how it judges."""
        return {}

    @property
    def warning(self) -> str:
        """What every report has to say."""
        return ""

    def close(self) -> None:
        """Ends whatever the judge has started; most have started nothing."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def problem_of(response: Response, problems: Mapping[str, Problem]) -> Problem:
    problem = problems.get(response.prompt.problem_id)
    if problem is None:
        raise GraderError(
            f"An answer is to problem {response.prompt.problem_id!r}, which is not among the {len(problems)} given.",
            "Without its problem an answer cannot be judged.",
            "Hand the judge every problem that was asked.",
        )
    return problem


def self_test(grader: Grader, problems: Sequence[Problem]) -> list[tuple[Problem, str]]:
    """Shows the judge each gold answer as if a model had given it.

    Returns:
        The problems whose own gold is not scored above 0, with the reason. Nothing can be learnt from them.
    """
    golds = [(problem, gold) for problem in problems if (gold := grader.gold(problem)) is not None]
    responses = [_as_response(problem, gold) for problem, gold in golds]
    scores = grader.grade(responses, {problem.id: problem for problem, _ in golds})
    return [
        (problem, score.reason or f"its own gold answer scores {score.value}")
        for (problem, _), score in zip(golds, scores, strict=True)
        if score.value is None or score.value <= 0
    ]


def _as_response(problem: Problem, text: str) -> Response:
    return Response(
        prompt=Prompt(problem.id, problem.question),
        prompt_text=problem.question,
        sample_index=0,
        text=text,
        token_ids=(),
        logprob=0.0,
        finish_reason="stop",
        model="gold",
        weights_version=0,
    )
