"""Errors of a training that cannot continue: which examples, why, what to do."""

from __future__ import annotations

from collections.abc import Sequence

from selftrain.errors import ModelError
from selftrain.problems.rows import excerpt
from selftrain.training.base import TrainingConfig
from selftrain.types import TrainingExample

#: How many examples a message names; the rest are counted.
_SHOWN = 5


def not_finite(
    skipped: int, steps: int, alone: Sequence[TrainingExample], involved: Sequence[TrainingExample]
) -> ModelError:
    """
    Args:
        skipped: how many of `steps` steps had a loss or gradient that is not finite.
        alone: examples for which that holds even without the rest of their step.
        involved: all examples of the skipped steps.
    """
    unchanged = "an update from it would destroy the weights, so none was made"
    do = "lower --learning_rate; --max_skipped_steps allows more skipped steps"
    if alone and (len(alone) < len(involved) or len(involved) == 1):
        why = f"each of these examples alone causes it; {unchanged}"
        do = "check their texts and weights, and leave them out; --max_skipped_steps allows more skipped steps"
    elif alone:
        why = f"every example of these steps causes it, as when the weights have diverged; {unchanged}"
    else:
        why = f"no single example of these steps causes it; {unchanged}"
    return ModelError(
        f"the loss or its gradient was not finite (NaN or inf) in {skipped} of {steps} steps: "
        f"{_named(alone or involved)}",
        why,
        do,
    )


def _named(examples: Sequence[TrainingExample]) -> str:
    shown = [f"{excerpt(e.completion)} of problem {e.prompt.problem_id!r}" for e in examples[:_SHOWN]]
    more = len(examples) - _SHOWN
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def example_out_of_memory(example: TrainingExample, tokens: int, config: TrainingConfig) -> ModelError:
    shorter = "lower --max_completion_length, so that answers are shorter"
    return ModelError(
        f"out of memory while training on one example of {tokens:,} tokens (problem {example.prompt.problem_id!r})",
        "it was alone in its micro-batch, which cannot be made smaller",
        shorter if config.gradient_checkpointing else f"set --gradient_checkpointing, or {shorter}",
    )


def optimizer_out_of_memory(weights: int) -> ModelError:
    return ModelError(
        "out of memory in the optimizer",
        f"AdamW keeps two float32 moments for each of {weights:,} weights: {8 * weights / 2**30:.1f} GiB",
        "use a device with more memory, a smaller model, or --use_peft",
    )
