"""ReST-EM: Beyond Human Data, arXiv 2312.06585.

Sample many solutions a problem, keep at most ten that a checker proves right, fine-tune the *base* model on
them, repeat with the new model as sampler. No human solution is mixed in, and no data of earlier rounds.

How this page differs from the paper: truncated answers are dropped even where they score, and exact
duplicates are dropped first in the `recommended` profile; `faithful` does neither. Which ten are kept is not
stated; ours are the first, so that a problem which has them need not be asked again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import ClassVar, Literal

from selftrain.config import config_dataclass, setting
from selftrain.errors import DataError
from selftrain.evaluation import EvalConfig
from selftrain.methods.base import collected_from
from selftrain.methods.filters import (
    at_most_per_problem,
    drop_duplicates,
    drop_truncated,
    drop_unrewarded,
    in_order_of,
    problems_with,
    weigh_problems_equally,
    with_scores,
)
from selftrain.training.base import TrainingConfig
from selftrain.types import Collected, Problem, Round, Sample, SamplingParams


@config_dataclass(forkable=True)
class RestEM:
    """Settings of ReST-EM; the defaults are the `recommended` profile."""

    num_rounds: int = setting(
        3, "rounds of sampling and training (I)", source="ReST-EM, section 5: 3 for MATH, 2 for APPS", ge=1
    )
    num_generations: int = setting(
        32, "responses sampled for each problem (n)", source="ReST-EM, section 4: 32 for MATH, 64 for APPS", ge=1
    )
    temperature: float = setting(0.7, "sampling temperature", source="ReST-EM, section 4", ge=0)
    top_k: int = setting(40, "top-k sampling; 0 is off", source="ReST-EM, section 4", ge=0)
    top_p: float = setting(
        1.0, "top-p (nucleus) sampling; 1 is off", source="ReST-EM names no top-p for sampling", gt=0, le=1
    )
    max_completion_length: int = setting(1024, "maximum tokens of a response", ge=1)
    reward_threshold: float = setting(
        0.5, "keep rewards above this; any value between 0 and 1 is the paper's rule for 0/1 rewards"
    )
    max_kept_per_problem: int = setting(
        10, "kept responses per problem, the first ones", source="ReST-EM, section 4: 10; which ten, ours", ge=1
    )
    stop_at_cap: bool = setting(
        True,
        "stop sampling for a problem that has max_kept_per_problem kept responses: the kept set is the same; needs a "
        "grader that scores each response independently",
    )
    deduplicate: Literal["exact", "off"] = setting(
        "exact",
        "'exact' drops repeated texts of a problem before max_kept_per_problem applies",
        source="ours; the paper names none",
    )
    prompt_weight: Literal["capped", "count", "uniform"] = setting(
        "capped",
        "'capped' applies max_kept_per_problem; 'count' lifts it; 'uniform' gives every solved problem the same total "
        "weight",
        source="ReST-EM, section 4: capped",
    )
    solutions: Literal["model", "human"] = setting(
        "model",
        "'human' replaces each kept response by the problem's human solution: the paper's control of equal size",
        source="ReST-EM, section 5.2",
    )
    problems_per_round: int | None = setting(
        None, "problems sampled from each round; all by default", source="ReST-EM, algorithm 1", ge=1
    )
    mask_truncated_completions: bool = setting(
        True,
        "drop responses cut off at max_completion_length, even where they are rewarded",
        source="ours; name as in TRL",
    )

    name: ClassVar[str] = "rest-em"
    summary: ClassVar[str] = (
        "sample, keep what a checker proves right, fine-tune from the base weights (arXiv 2312.06585)"
    )
    needs_grader: ClassVar[bool] = True
    needs_peers: ClassVar[bool] = False
    training: ClassVar[TrainingConfig] = TrainingConfig()
    evaluation: ClassVar[EvalConfig] = EvalConfig()

    @property
    def sampling(self) -> SamplingParams:
        return SamplingParams(self.temperature, self.top_k, self.top_p, self.max_completion_length)

    @property
    def collects_by_problem(self) -> bool:
        return self.prompt_weight != "uniform"  # whose weights sum to the number of all kept ones

    def collect(self, now: Round) -> Collected:
        (learner,) = now.learners
        samples: list[Sample] = []
        wanting = now.prompts
        for first, until in self._draws(now):
            # E-step: y ~ p(. | x) for every x, n times; r(x, y) in {0, 1}.
            responses = learner.sample(wanting, until - first, self.sampling, now.key, first)
            # D_i = those with reward 1, at most ten a problem.
            samples = self._kept([*samples, *with_scores(responses, now.grade(responses))])
            full = problems_with(samples, self.max_kept_per_problem)
            wanting = [prompt for prompt in now.prompts if prompt.problem_id not in full]
        samples = in_order_of(now.prompts, samples)
        if self.prompt_weight == "uniform":
            samples = weigh_problems_equally(samples)
        # M-step, by the learner: maximise sum over D_i of log p(y | x), from the base weights.
        lessons = collected_from(samples, learner.name)
        return lessons if self.solutions == "model" else with_human_solutions(lessons, now.problems)

    def _kept(self, samples: Sequence[Sample]) -> list[Sample]:
        if self.mask_truncated_completions:
            samples = drop_truncated(samples)
        samples = drop_unrewarded(samples, self.reward_threshold)
        if self.deduplicate == "exact":
            samples = drop_duplicates(samples)
        return at_most_per_problem(samples, self.max_kept_per_problem) if self.capped else [*samples]

    @property
    def capped(self) -> bool:
        return self.prompt_weight == "capped"

    def _draws(self, now: Round) -> Iterator[tuple[int, int]]:
        """Ranges of sample indices, drawn and judged one after another: all at once, or the cap and then quarters."""
        n, cap = self.num_generations, self.max_kept_per_problem
        waits = self.stop_at_cap and self.capped and now.scores_independently
        ends = range(cap, n, max(1, n // 4)) if waits else ()
        return pairwise((0, *ends, n))


def with_human_solutions(lessons: Collected, problems: Sequence[Problem]) -> Collected:
    """The control: as many examples of the same problems, written by humans.

    Raises:
        DataError: a problem has no human solution.
    """
    written = {problem.id: problem.solution for problem in problems}
    lacking = [s.response.prompt.problem_id for s in lessons.samples if s.kept
               and not written[s.response.prompt.problem_id]]  # fmt: skip
    if lacking:
        raise DataError(
            f"{len(set(lacking)):,} solved problems have no human solution, the first is {lacking[0]}",
            "solutions is 'human'",
            "use data with a solution column, or --solutions model",
        )
    return replace(
        lessons,
        examples={
            name: tuple(
                replace(one, completion=f" {(written[one.prompt.problem_id] or '').strip()}", token_ids=None)
                for one in examples
            )
            for name, examples in lessons.examples.items()
        },
    )


#: Defaults that differ by profile, as flat settings. `recommended` is what the dataclasses say.
PROFILES: dict[str, dict[str, object]] = {
    "recommended": {},
    # As close to the paper as it allows: no de-duplication, and training stops at the first drop on D_val.
    "faithful": {"deduplicate": "off", "mask_truncated_completions": False, "early_stopping": "first_drop"},
}
