"""The grader "code": a program that a model wrote against the tests of its problem, in the sandbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from selftrain.graders.base import Grader, problem_of
from selftrain.graders.code.config import CodeConfig
from selftrain.graders.code.extract_program import extract_program
from selftrain.graders.code.reference_time import ReferenceTimes
from selftrain.graders.code.run_tests import Trial, run_trials
from selftrain.graders.completion import with_opened_thought
from selftrain.graders.verdict_cache import VerdictCache
from selftrain.problems.code import CodeTask, read_task
from selftrain.sandbox import Limits, Sandbox, open_sandbox, report_lines
from selftrain.types import Problem, Response, Score

#: The samples of one problem come together, and many are the same text.
_CACHED_TASKS, _CACHED_VERDICTS = 1024, 65_536

#: A program and the id of its problem.
_Key = tuple[str, str]


class CodeGrader(Grader):
    """1.0 for a program that passes all tests that give reward, 0.0 for one that does not.

    None if our own machinery failed, if the tests cannot be read, or if only a weak test was passed. A rewarded program
    has the verdict of the held-back tests in `Score.extra_scores["held_back"]`; in evaluations they count as well.

    Args:
        programs_at_once: programs that run in parallel; None for one per processor.
        sandbox: an open one to use instead; `close` ends it.
        all_tests: whether the held-back tests count.

    Raises:
        SandboxError: no sandbox works on this machine (exit code 77).
    """

    name = "code"
    scores_independently = True

    def __init__(
        self,
        config: CodeConfig | None = None,
        programs_at_once: int | None = None,
        *,
        sandbox: Sandbox | None = None,
        all_tests: bool = False,
    ) -> None:
        self._config, self._all_tests = config or CodeConfig(), all_tests
        seconds = self._config.test_timeout
        self._sandbox = sandbox or open_sandbox(
            allow_unsandboxed=self._config.run_model_code == "unsandboxed",
            workers=programs_at_once,
            limits=Limits(seconds, wall_seconds=max(60.0, 20 * seconds)),
        )
        self._references = ReferenceTimes(self._sandbox)
        self._read_task = lru_cache(_CACHED_TASKS)(self._read_task_uncached)
        self._verdicts: VerdictCache[_Key, Score] = VerdictCache(_CACHED_VERDICTS)

    @property
    def metadata(self) -> dict[str, str]:
        return {"sandbox": report_lines(self._sandbox)[0], "run_model_code": self._config.run_model_code}

    @property
    def warning(self) -> str:
        if not self._sandbox.unsandboxed:
            return ""
        return "Model code was run UNSANDBOXED: it could read and change anything, its own verdict included."

    def evaluation_grader(self) -> Grader:
        """Counts all tests, in the same sandbox."""
        return CodeGrader(self._config, sandbox=self._sandbox, all_tests=True)

    def gold_completion(self, problem: Problem) -> str | None:
        return None if problem.solution is None else f"```python\n{problem.solution}\n```"

    def close(self) -> None:
        self._sandbox.close()

    def grade(self, responses: Sequence[Response], problems: Mapping[str, Problem]) -> list[Score]:
        scores: list[Score | _Key] = []
        new: dict[_Key, CodeTask] = {}
        for response in responses:
            problem = problem_of(response, problems)
            task = self._read_task(problem)
            if isinstance(task, str):
                scores.append(Score(None, None, task))
            elif (program := extract_program(with_opened_thought(response.text, response.prompt_text), task)) is None:
                scores.append(Score(0.0, None, "no program found"))
            else:
                key = (program, problem.id)
                known = self._verdicts.get(key)
                scores.append(known or key)
                if known is None:
                    new[key] = task
        found = self._grade_new(new)
        # Failures on our side are not cached: the next try may succeed.
        self._verdicts.update({key: score for key, score in found.items() if score.value is not None})
        return [score if isinstance(score, Score) else found[score] for score in scores]

    def _read_task_uncached(self, problem: Problem) -> CodeTask | str:
        """The task, or why it cannot be read."""
        try:
            return read_task(problem.columns, self._config.held_back_tests)
        except ValueError as error:
            return f"the tests of {problem.id} cannot be read: {error}"

    def _grade_new(self, programs: Mapping[_Key, CodeTask]) -> dict[_Key, Score]:
        trials = {key: Trial(key[0], task, task.rewarded) for key, task in programs.items()}
        self._run(trials)
        held_back = {
            key: Trial(key[0], trial.task, trial.task.held_back)
            for key, trial in trials.items()
            if trial.verdict and trial.task.held_back
        }
        self._run(held_back)
        return {key: self._score(trial, held_back.get(key)) for key, trial in trials.items()}

    def _run(self, trials: Mapping[_Key, Trial]) -> None:
        run_trials([*trials.values()], self._sandbox, self._config.weak_tests)
        by_problem = [(problem_id, trial) for (_, problem_id), trial in trials.items()]
        self._references.run_again(by_problem, self._config.weak_tests)

    def _score(self, rewarded: Trial, held_back: Trial | None) -> Score:
        score = Score(_value(rewarded.verdict), rewarded.program, rewarded.reason, rewarded.seconds)
        if held_back is None:
            return score
        seconds = rewarded.seconds + held_back.seconds
        if self._all_tests:
            return replace(score, value=_value(held_back.verdict), reason=held_back.reason, seconds=seconds)
        extra = {} if held_back.verdict is None else {"held_back": float(held_back.verdict)}
        return replace(score, extra_scores=extra, seconds=seconds)


def _value(verdict: bool | None) -> float | None:
    return None if verdict is None else float(verdict)
