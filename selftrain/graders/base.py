"""The interface of a grader, and the self-test that asks it to grade its own gold answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, Self

from selftrain.errors import GraderError
from selftrain.types import FinishReason, Problem, Prompt, Response, Score


class Grader(Protocol):
    """Scores responses. May be used as a context manager, and from several threads."""

    name: str
    #: Whether a response's score depends on that response alone, so that grading can start before sampling ends.
    scores_independently: bool = False

    def grade(self, responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
        """One score per response, in their order; `Score.value` is None for "unjudged", never for "wrong".

        Args:
            problems: by id; holds the problem of every response.

        Raises:
            GraderError: the grader itself is broken. The run stops; no response is scored 0 for it.
        """
        ...

    def evaluation_grader(self) -> Grader:
        """The grader for evaluations: this one, unless it rewards less than the task asks for."""
        return self

    def gold_completion(self, problem: Problem) -> str | None:
        """A completion that must score above 0; None if the grader cannot name one."""
        gold = problem.reference or ""
        # Both common markers, since some graders know only one. A worked solution brings its own.
        marked = "####" in gold or r"\boxed" in gold
        return gold if marked else f"The answer is $\\boxed{{{gold}}}$.\n#### {' '.join(gold.split())}"

    @property
    def metadata(self) -> dict[str, str]:
        """How it grades, for the run's record."""
        return {}

    @property
    def warning(self) -> str:
        """What every report has to warn of; empty for nothing."""
        return ""

    def close(self) -> None:
        """Releases processes and threads, if there are any."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def problem_of(response: Response, problems: Mapping[str, Problem]) -> Problem:
    problem = problems.get(response.prompt.problem_id)
    if problem is None:
        raise GraderError(
            f"A response has the problem {response.prompt.problem_id!r}, which is not among the {len(problems)} given.",
            "A response cannot be graded without its problem.",
            "Pass every problem that was sampled.",
        )
    return problem


def as_response(
    problem: Problem, text: str, finish_reason: FinishReason = "stop", prompt_text: str | None = None
) -> Response:
    """A text that no model of ours sampled, as a response to `problem`, so that it can be graded.

    Args:
        prompt_text: what the model was given; the question for None. It may have opened a thought.
    """
    return Response(
        prompt=Prompt(problem.id, problem.question),
        prompt_text=problem.question if prompt_text is None else prompt_text,
        sample_index=0,
        text=text,
        token_ids=(),
        logprob=0.0,
        finish_reason=finish_reason,
        model="",
        weights_version=0,
    )


def self_test(grader: Grader, problems: Sequence[Problem]) -> list[tuple[Problem, str]]:
    """Grades each problem's gold answer as if a model had written it.

    Returns:
        The problems whose gold does not score above 0, each with the reason. No sample of theirs could be right.
    """
    golds = [(problem, gold) for problem in problems if (gold := grader.gold_completion(problem)) is not None]
    responses = [as_response(problem, gold) for problem, gold in golds]
    scores = grader.grade(responses, {problem.id: problem for problem, _ in golds})
    return [
        (problem, score.reason or f"its own gold answer scores {score.value}")
        for (problem, _), score in zip(golds, scores, strict=True)
        if score.value is None or score.value <= 0
    ]
