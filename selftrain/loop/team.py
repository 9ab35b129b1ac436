"""Several models as a team: answering in turn, each reading the answers before its own, and by majority vote.

The vote is the baseline of taking turns: as many answers, without the reading.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from selftrain.errors import RunError
from selftrain.evaluation import EvalResult, EvalTask
from selftrain.methods.turn_taking import rotations, take_turns
from selftrain.types import Sample, Sampler


def evaluate_in_turn(samplers: Sequence[Sampler], task: EvalTask) -> list[EvalResult]:
    """The team's greedy answer to each prompt: that of the last model, which reads the answers of all others.

    On prompt i the order is the rotation that starts at i mod n, so each model is last equally often and none is
    favoured. In prompt order.
    """
    prompts = task.prompts
    turns = take_turns(
        samplers, prompts, rotations(len(prompts), len(samplers)), sampling=task.params(0.0), key=task.key
    )
    last = task.graded([responses[-1] for responses in turns])
    return [EvalResult(prompt.problem_id, sample, ()) for prompt, sample in zip(prompts, last, strict=True)]


def majority_of(solos: Sequence[Sequence[EvalResult]], normalize: Callable[[str], str] = str) -> list[EvalResult]:
    """The majority vote of models that answered alone: for each problem the most frequent of their greedy answers.

    It is given as the sample of the first model that gave it, in the rotation of `evaluate_in_turn`, which also decides
    between equally frequent answers. Samples without an extracted answer have no vote; where none has one it is the
    first model's.

    Args:
        solos: `[models][problems]`, the same problems for all, each with a greedy answer.
        normalize: gives equal answers one spelling, such as `graders.canonical`.

    Raises:
        RunError: the models did not answer the same problems, or not greedily.
    """
    by_model = [{result.problem_id: result.greedy for result in solo} for solo in solos]
    problems = list(by_model[0]) if by_model else []
    if any(set(of_model) != set(problems) or None in of_model.values() for of_model in by_model):
        raise RunError(
            f"the models' greedy answers are not to the same problems: {[len(of_model) for of_model in by_model]}",
            "a vote needs one greedy answer of each model to each problem",
            "evaluate all models on the same problems",
        )
    voted = []
    for problem_id, order in zip(problems, rotations(len(problems), len(by_model)), strict=True):
        samples = [sample for place in order if (sample := by_model[place][problem_id]) is not None]
        voted.append(EvalResult(problem_id, _most_frequent(samples, normalize), ()))
    return voted


def _most_frequent(samples: Sequence[Sample], normalize: Callable[[str], str]) -> Sample:
    """The first of the samples with the most frequent answer; the first of all where none has an answer."""
    answers = [
        None if sample.score.extracted_answer is None else normalize(sample.score.extracted_answer)
        for sample in samples
    ]
    votes: Counter[str | None] = Counter(answer for answer in answers if answer is not None)
    # `max` gives the first of equals.
    return samples[max(range(len(samples)), key=lambda place: votes.get(answers[place], 0))]
