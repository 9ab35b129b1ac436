"""The page of ReST-EM against the paper's algorithm 1, numbers worked by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from selftrain.loop.learner import Learner
from selftrain.methods import RestEM
from selftrain.models.prompts import make_prompts
from selftrain.types import Collected, Round, Score
from tests.toys.engine import ToyEngine
from tests.toys.model import ToyModel, toy_problems
from tests.toys.trainer import ToyTrainer

PROBLEMS = toy_problems(40)
GOLD = {problem.id: problem.reference for problem in PROBLEMS}


def right(responses):
    return [Score(float(r.text.endswith(f" {GOLD[r.prompt.problem_id]}")), r.text[-3:]) for r in responses]


def always(responses):
    return [Score(1.0, None) for _ in responses]


def collect(method: RestEM, grade=right, *, scores_independently: bool = False, seed: int = 7) -> Collected:
    model = ToyModel()
    learner = Learner(ToyEngine(model), ToyTrainer(model), "toy")
    now = Round(1, PROBLEMS, make_prompts(PROBLEMS), [learner], grade, seed, scores_independently=scores_independently)
    return method.collect(now)


def test_n_samples_of_each_problem_at_the_papers_temperature_and_top_k() -> None:
    assert (RestEM().num_generations, RestEM().sampling.temperature, RestEM().sampling.top_k) == (32, 0.7, 40)
    drawn = Counter(s.response.prompt.problem_id for s in collect(RestEM(num_generations=5)).samples)
    assert set(drawn.values()) == {5} and len(drawn) == len(PROBLEMS)


def test_at_most_ten_right_solutions_of_a_problem() -> None:
    examples = collect(RestEM(deduplicate="off")).examples["toy"]
    per_problem = Counter(example.prompt.problem_id for example in examples)
    assert max(per_problem.values()) == 10
    assert all(example.completion.endswith(f" {GOLD[example.prompt.problem_id]}") for example in examples)


def test_count_lifts_the_cap_and_uniform_evens_the_problems() -> None:
    counted = collect(RestEM(deduplicate="off", prompt_weight="count"))
    assert sum(s.kept for s in counted.samples) == sum(s.score.value == 1.0 for s in counted.samples)
    even = collect(RestEM(deduplicate="off", prompt_weight="uniform")).examples["toy"]
    totals: Counter[str] = Counter()
    for example in even:
        totals[example.prompt.problem_id] += example.weight
    assert max(totals.values()) - min(totals.values()) < 1e-9


def test_reward_always_1_is_plain_self_distillation() -> None:
    lessons = collect(RestEM(deduplicate="off", prompt_weight="count"), always)
    assert [e.completion for e in lessons.examples["toy"]] == [s.response.text for s in lessons.samples]


def test_the_training_prompt_is_the_sampling_prompt_few_shot_included() -> None:
    model = ToyModel()
    learner = Learner(ToyEngine(model), ToyTrainer(model), "toy")
    prompts = make_prompts(PROBLEMS, few_shot=(("1+1?", " #### 2"),))
    lessons = RestEM(num_generations=4).collect(Round(1, PROBLEMS, prompts, [learner], right, 7))
    assert all(example.prompt.few_shot for example in lessons.examples["toy"])
    assert {example.prompt for example in lessons.examples["toy"]} <= {s.response.prompt for s in lessons.samples}


def test_truncated_answers_are_kept_only_where_the_paper_is_followed_to_the_letter() -> None:
    class CutOff(ToyEngine):
        def generate(self, request):
            return [replace(response, finish_reason="length") for response in super().generate(request)]

    def kept(**settings) -> int:
        model = ToyModel()
        learner = Learner(CutOff(model), ToyTrainer(model), "toy")
        method = RestEM(num_generations=4, **settings)
        lessons = method.collect(Round(1, PROBLEMS, make_prompts(PROBLEMS), [learner], right, 7))
        return sum(sample.kept for sample in lessons.samples)

    assert kept() == 0 < kept(mask_truncated_completions=False)


def test_a_truncated_example_has_no_end_token_and_a_human_solution_has_one() -> None:
    class CutOff(ToyEngine):
        def generate(self, request):
            return [replace(response, finish_reason="length") for response in super().generate(request)]

    model = ToyModel()
    learner = Learner(CutOff(model), ToyTrainer(model), "toy")
    solved = [replace(problem, solution="2+2=4. #### 4") for problem in PROBLEMS]
    now = Round(1, solved, make_prompts(solved), [learner], right, 7)
    own, human = (
        RestEM(num_generations=4, mask_truncated_completions=False, solutions=who).collect(now).examples["toy"]
        for who in ("model", "human")
    )
    assert own and all(example.truncated and example.token_ids is not None for example in own)
    # Without ids the text is encoded anew, end token and all.
    assert len(human) == len(own) and all(example.token_ids is None for example in human)


def fates(lessons: Collected, kept: bool) -> list[tuple[str, int, str]]:
    return [(s.response.prompt.problem_id, s.response.sample_index, s.response.text)
            for s in lessons.samples if s.kept is kept]  # fmt: skip


@pytest.mark.parametrize("deduplicate", ["exact", "off"])
@pytest.mark.parametrize("cap", [1, 3, 10])
@pytest.mark.parametrize("seeds", [2, pytest.param(9, marks=pytest.mark.slow)])
def test_stopping_at_the_cap_keeps_the_same_samples(deduplicate: str, cap: int, seeds: int) -> None:
    spared = 0
    for seed in range(seeds):
        method = RestEM(deduplicate=deduplicate, max_kept_per_problem=cap)
        stopped, whole = (
            collect(replace(method, stop_at_cap=stops), scores_independently=True, seed=seed) for stops in (True, False)
        )
        assert fates(stopped, kept=True) == fates(whole, kept=True) != []
        assert set(fates(stopped, kept=False)) <= set(fates(whole, kept=False))
        assert stopped.examples == whole.examples
        spared += len(whole.samples) - len(stopped.samples)
        # Whoever has less than the cap was asked to the end.
        drawn = Counter(s.response.prompt.problem_id for s in stopped.samples)
        kept = Counter(problem_id for problem_id, _, _ in fates(stopped, kept=True))
        assert all(drawn[one.id] == 32 for one in PROBLEMS if kept[one.id] < cap)
    assert spared > 0 or (deduplicate == "exact" and cap > 1)


def test_all_samples_are_drawn_where_answers_are_graded_together_or_uncapped() -> None:
    assert len(collect(RestEM(deduplicate="off"), always).samples) == 32 * len(PROBLEMS)
    for weight in ("count", "uniform"):
        lessons = collect(RestEM(deduplicate="off", prompt_weight=weight), always, scores_independently=True)
        assert len(lessons.samples) == 32 * len(PROBLEMS)
