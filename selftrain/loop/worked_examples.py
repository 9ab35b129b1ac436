"""The worked examples that a model was trained with, where its folder lies in a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from selftrain.errors import SelftrainError
from selftrain.loop.prompt_choice import PromptChoice
from selftrain.problems import ProblemSet
from selftrain.problems.overlap import question_key
from selftrain.storage import RunFolder
from selftrain.storage.journal import run_above
from selftrain.types import Shots


def examples_of_run(model: str) -> Shots | None:
    """Of a folder of weights in a run's; None where it is in none, or the run does not say."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return None
    run = run_above(folder)
    try:
        found = None if run is None else RunFolder(run).environment().get("worked_examples")
    except SelftrainError:
        return None
    if not isinstance(found, list) or not all(isinstance(one, list) and len(one) == 2 for one in found):
        return None
    return tuple((str(question), str(solution)) for question, solution in found)


def as_in_training(choice: PromptChoice, model: str, evaluation: ProblemSet, *, given: bool) -> PromptChoice:
    """With the examples of the run that `model` comes from, but for those that are evaluation problems.

    Args:
        given: whether the number of examples was asked for; then only as many as the run's are replaced by these.
    """
    trained = examples_of_run(model)
    if trained is None or trained == choice.shots:
        return choice
    evaluated = {question_key(problem.question) for problem in evaluation}
    shots = tuple(shot for shot in trained if question_key(shot[0]) not in evaluated)
    name = Path(model).name
    if given and len(choice.shots) != len(trained):
        note = f"{name} was trained with {len(trained)} worked examples, and is shown others: leave out --num_fewshot"
        return replace(choice, notes=(*choice.notes, note))
    left_out = f", but for {len(trained) - len(shots)} that are evaluated here" * (len(shots) < len(trained))
    source = f"those of the run that {name} was trained in{left_out}"
    reasons = choice.reasons if given else {**choice.reasons, "num_fewshot": source}
    prompts = replace(choice.prompts, num_fewshot=len(shots))
    return replace(choice, shots=shots, prompts=prompts, reasons=reasons, source=source)
