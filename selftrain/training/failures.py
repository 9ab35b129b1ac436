"""What is said when a training cannot go on: which examples, what it means, what to do."""

from __future__ import annotations

from collections.abc import Sequence

from selftrain.errors import ModelError
from selftrain.problems.rows import excerpt
from selftrain.training.base import TrainingConfig
from selftrain.types import TrainingExample

#: So many examples are named before the message only counts them.
_SHOWN = 5


def not_finite(
    skipped: int, steps: int, offenders: Sequence[TrainingExample], involved: Sequence[TrainingExample]
) -> ModelError:
    """
    Args:
        skipped: steps whose loss or gradient was no finite number, of `steps` so far.
        offenders: examples of which that is true alone.
        involved: all examples of the skipped steps.
    """
    unharmed = "an update from it would destroy the weights, so none was made"
    do = "lower --learning_rate; --max_skipped_steps lets more of them pass"
    if offenders and (len(offenders) < len(involved) or len(involved) == 1):
        why = f"each of these examples alone makes it so; {unharmed}"
        do = "see what is odd about their texts and weights, and leave them out; --max_skipped_steps lets more pass"
    elif offenders:
        why = f"every example of these steps makes it so, as where the weights have grown without bound; {unharmed}"
    else:
        why = f"no example of these steps makes it so alone; {unharmed}"
    return ModelError(
        f"the loss or its gradient was no finite number in {skipped} of {steps} steps: {_named(offenders or involved)}",
        why,
        do,
    )


def _named(examples: Sequence[TrainingExample]) -> str:
    shown = [f"{excerpt(e.completion)} of problem {e.prompt.problem_id!r}" for e in examples[:_SHOWN]]
    more = len(examples) - _SHOWN
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def too_long(example: TrainingExample, tokens: int, training: TrainingConfig) -> ModelError:
    shorter = "lower --max_completion_length, so that answers are shorter"
    return ModelError(
        f"memory does not suffice to train on one example of {tokens:,} tokens (problem {example.prompt.problem_id!r})",
        "it was alone in its micro-batch, which can be cut no further",
        shorter if training.gradient_checkpointing else f"set --gradient_checkpointing, or {shorter}",
    )


def no_room_for_moments(weights: int) -> ModelError:
    return ModelError(
        "memory does not suffice for the optimizer",
        f"AdamW keeps two float32 numbers for each of {weights:,} weights: {8 * weights / 2**30:.1f} GiB",
        "use a device with more memory, or a smaller model",
    )
