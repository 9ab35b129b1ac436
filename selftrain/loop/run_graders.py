"""Who judges what in a run: the samples, D_val, and the evaluation are three different questions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from selftrain.engines.ray.backend import LOCAL, RayBackend
from selftrain.errors import DataError
from selftrain.graders import Grader, RewardFunctionGrader, is_ablation, open_reader, self_test
from selftrain.graders.code.config import CodeConfig
from selftrain.loop.progress import Progress
from selftrain.methods.base import Method
from selftrain.problems.rows import excerpt
from selftrain.problems.splits import DataSplits
from selftrain.types import Problem, Response, Score

Rewards = str | Callable[..., Any] | Sequence[str | Callable[..., Any]]
GradeProblems = Callable[[Sequence[Response], Mapping[str, Problem]], list[Score]]


@dataclass(frozen=True)
class RunGraders:
    """
    Args:
        samples: scores what is sampled for data; reads answers only, where the method needs no judge.
        validation: scores D_val; reads answers only, where its labels are not to be looked at.
        evaluation: what the report speaks of. Never a control: a control must not mark its own work.
        labelled: whether D_val is scored by its labels.
    """

    samples: GradeProblems
    validation: GradeProblems
    evaluation: GradeProblems
    labelled: bool
    #: The judge behind `evaluation`.
    evaluation_grader: Grader
    #: Whether a score of `samples` depends on one answer alone.
    scores_independently: bool = False

    def check(self, parts: DataSplits, progress: Progress) -> None:
        """Has the examiner read every gold answer it will need, before anything is paid for.

        Raises:
            DataError: it can read none.
        """
        looked_at = parts.all if self.labelled else parts.evaluation
        labelled = [problem for problem in looked_at if problem.reference is not None]
        if not parts.can_be_graded:
            progress.say("data: no evaluation problem has an answer, so accuracy cannot be told; all else is")
        if labelled:
            check_grader(self.evaluation_grader, labelled, progress)


@contextmanager
def open_run_graders(
    method: Method,
    own: str,
    reward_funcs: Rewards | None,
    reward_weights: Sequence[float] | None,
    probe_labels: bool,
    eval_labels: bool,
    code: CodeConfig | None = None,
    ray: RayBackend = LOCAL,
) -> Iterator[RunGraders]:
    """
    Args:
        own: the judge that the data set comes with.
        probe_labels: whether D_val may be judged by its labels where the method needs none.
        eval_labels: whether evaluation problems have answers; without, evaluations only read.
        code: how "code" judges.
        ray: where they are asked.

    Raises:
        SandboxError: code is to be judged, and nothing on this machine holds it.
    """
    with ExitStack() as stack:
        reader = stack.enter_context(open_reader(own))
        grader: Grader = reader
        if method.needs_grader:
            grader = stack.enter_context(ray.open_grader(reward_funcs or own, reward_weights=reward_weights, code=code))
            if not is_ablation(grader.name):
                evaluation_grader = grader.evaluation_grader()
                yield RunGraders(
                    grader.grade,
                    evaluation_grader.grade,
                    evaluation_grader.grade,
                    True,
                    evaluation_grader,
                    grader.scores_independently,
                )
                return
        native = stack.enter_context(ray.open_grader(own, code=code)).evaluation_grader()
        # Stopping and choosing by the labels would teach a control, too, what it is there to do without.
        validation, evaluation = native if probe_labels else reader, native if eval_labels else reader
        yield RunGraders(
            grader.grade, validation.grade, evaluation.grade, probe_labels, native, grader.scores_independently
        )


def check_grader(grader: Grader, problems: Sequence[Problem], progress: Progress) -> None:
    """Has the judge read every gold answer before anything is paid for.

    Raises:
        DataError: it can read none.
    """
    unread = self_test(grader, problems)
    # A reward function of the user's may well give a bare gold answer nothing, for example one that rewards length.
    if len(unread) == len(problems) and not isinstance(grader, RewardFunctionGrader):
        problem, reason = unread[0]
        raise DataError(
            f"the judge {grader.name!r} finds none of the {len(problems):,} gold answers right; "
            f"the first is {excerpt(problem.reference)} of {problem.id}: {reason}",
            "no sample could ever be judged right",
            "check --answer_column, or choose another judge with --reward_funcs",
        )
    for problem, reason in unread[:5]:
        progress.say(f"judge: does not find {excerpt(problem.reference)}, the gold of {problem.id}, right: {reason}")
    if unread:
        progress.say(
            f"judge: {len(unread):,} of {len(problems):,} gold answers are not found right; what is answered to those "
            "problems is judged all the same, and unjudged where the gold cannot be read at all"
        )
