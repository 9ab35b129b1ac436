"""How much of everything a run does: its own functions, asked of models that count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from selftrain.evaluation import EvalConfig, EvalTask, evaluate
from selftrain.evaluation.sweep import sweep
from selftrain.evaluation.verifier import measure_gv_gap
from selftrain.loop.probe import consensus_answers, evaluate_probe
from selftrain.loop.team import evaluate_in_turn
from selftrain.sizing.ghosts import Asked, Ghost, RequestCounts, tokens_of
from selftrain.sizing.plan import Plan
from selftrain.types import Problem, Prompt, Round, TrainingExample

#: Of a round with more problems so many are asked, and the rest is taken to be like them.
TRIAL_PROBLEMS = 500


@dataclass(frozen=True)
class Work:
    """Counts over all models and rounds. Numbers that are no whole ones stand for more problems than were tried.

    Work(asked=(Asked(prompts=128, n=1, prompt_tokens=150, times=250),), judged=32000, ...)
    """

    asked: tuple[Asked, ...] = ()
    graded: float = 0
    #: Texts whose log-probability is asked for, and tokens of them and of their prompts.
    scored: float = 0
    scored_tokens: float = 0
    #: Examples, each once an epoch, and tokens of them and of their prompts.
    trained: float = 0
    trained_tokens: float = 0

    @property
    def answers(self) -> float:
        return sum(one.answers for one in self.asked)

    def times(self, problems: float, rounds: float) -> Work:
        """The same of so many times the problems, in so many rounds."""
        asked = tuple(replace(one, prompts=one.prompts * problems, times=one.times * rounds) for one in self.asked)
        counts = {name: value * problems * rounds for name, value in vars(self).items() if name != "asked"}
        return Work(asked, **counts)


def work_of(plan: Plan, question_tokens: int, completion_tokens: int, share_right: float) -> dict[str, Work]:
    """By what it is for: "samples", "early stopping", "probe", "consensus", "evaluation".

    Args:
        question_tokens, completion_tokens: of every question, and of every answer, which its limit may cut off.
    """
    length = min(completion_tokens, plan.method.sampling.max_completion_length)
    return _Counting(plan, question_tokens, length, share_right).all()


class _Counting:
    def __init__(self, plan: Plan, question_tokens: int, length: int, share_right: float) -> None:
        self._plan, self._length, self._question = plan, length, "?" * question_tokens
        self._counts = RequestCounts()
        self._ghosts = [Ghost(name, length, share_right, self._counts) for name in plan.models]
        self._shots = ((self._question, "." * length),) * plan.num_fewshot

    def all(self) -> dict[str, Work]:
        plan = self._plan
        found = {"samples": self._samples()}
        if plan.validation_passes:
            once = self._counted(lambda: self._greedy(self._task(plan.validation)))
            found["early stopping"] = once.times(1, plan.validation_passes * plan.method.num_rounds * len(plan.models))
        if plan.probed:
            found["probe"] = self._counted(self._probe).times(1, len(plan.probed))
            if not plan.labelled:
                found["consensus"] = self._counted(self._consensus)
        evaluated = self._counted(self._evaluate).times(1, len(plan.evaluated))
        swept = self._counted(self._sweep)
        joined = {name: value + vars(swept)[name] for name, value in vars(evaluated).items()}
        return found | {"evaluation": Work(**joined)}

    def _counted(self, ask: Callable[[], Sequence[TrainingExample] | None]) -> Work:
        """What `ask` asks of the ghosts, and the examples it gives back."""
        for name, empty in vars(RequestCounts()).items():
            setattr(self._counts, name, empty)
        examples, counts = ask() or (), self._counts
        tokens = sum(tokens_of(one.prompt) + len(one.completion) for one in examples)
        return Work(
            tuple(counts.asked), counts.graded, counts.scored, counts.scored_tokens, len(examples), tokens
        )  # fmt: skip

    def _problems(self, count: int) -> list[Problem]:
        return [Problem(str(number), self._question, "right", solution="." * self._length) for number in range(count)]

    def _prompts(self, count: int) -> list[Prompt]:
        return [Prompt(problem.id, problem.question, self._shots) for problem in self._problems(count)]

    def _samples(self) -> Work:
        plan, method = self._plan, self._plan.method
        tried = min(plan.problems_of_round, TRIAL_PROBLEMS)
        now = Round(
            1, self._problems(tried), self._prompts(tried), self._ghosts, self._ghosts[0].grade, 0, method.num_rounds,
            lambda: self._ghosts, plan.scores_independently,
        )  # fmt: skip

        def collect() -> list[TrainingExample]:
            return [one for of_model in method.collect(now).examples.values() for one in of_model]

        work, epochs = self._counted(collect), plan.training.num_train_epochs
        work = replace(work, trained=work.trained * epochs, trained_tokens=work.trained_tokens * epochs)
        return work.times(plan.problems_of_round / tried, method.num_rounds)

    def _task(self, problems: int) -> EvalTask:
        return EvalTask(self._prompts(problems), self._ghosts[0].grade, self._length, "")

    def _greedy(self, task: EvalTask) -> None:
        evaluate(self._ghosts[0], task, EvalConfig(num_generations_eval=0))

    def _probe(self) -> None:
        for ghost in self._ghosts:
            evaluate_probe(ghost, self._task(self._plan.validation), self._plan.monitor.probe_generations)

    def _consensus(self) -> None:
        task = self._task(self._plan.validation)
        consensus_answers(self._ghosts, task, self._plan.monitor.consensus_generations)

    def _evaluate(self) -> None:
        task, config = self._task(self._plan.examined), self._plan.evaluation
        for ghost in self._ghosts:
            evaluate(ghost, task, config)
            if config.gv_gap:
                measure_gv_gap(ghost, task, config)
        if len(self._ghosts) > 1:
            evaluate_in_turn(self._ghosts, task)

    def _sweep(self) -> None:
        for ghost in self._ghosts if self._plan.evaluation.temperature_sweep else ():
            sweep(ghost, self._task(self._plan.examined), self._plan.evaluation)
