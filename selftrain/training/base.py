"""The contract of a trainer: weighted examples in, better weights out. It never hears what they are for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from selftrain.config import config_dataclass, setting
from selftrain.types import TrainingExample


@config_dataclass(forkable=True)
class TrainingConfig:
    """How a model is trained in one round. The ReST-EM paper states no optimizer setting: all are ours."""

    start_from: Literal["base", "previous"] = setting(
        "base", "weights that each round's training starts from", source="ReST-EM, section 3: the base pretrained model"
    )
    learning_rate: float = setting(
        1e-5, "peak learning rate of AdamW; choose it once on the validation problems, then freeze it", gt=0
    )
    train_batch_size: int = setting(64, "examples per optimizer step, however they are split into micro-batches", ge=1)
    num_train_epochs: int = setting(3, "passes over a round's kept samples, at most", ge=1)
    early_stopping: Literal["best", "first_drop", "off"] = setting(
        "best",
        "'best' trains all epochs and keeps the one with the highest validation reward; 'first_drop' stops after the "
        "first epoch that is worse than the one before and keeps the one before; 'off' keeps the last",
        source="ReST-EM, algorithm 1: 'while reward improves on D_val'; 'best' is ours",
    )
    validation_size: float = setting(
        0.1,
        "share of the training problems (from 1 up: their number) held out for validation and never trained on; their "
        "reward decides early stopping and the best round",
        source="ours; the paper has such a set, D_val, and does not state its size",
        ge=0,
        forkable=False,
    )
    loss_normalization: Literal["token", "example"] = setting(
        "token",
        "'token': sum of the weighted token losses of a step over its number of tokens; 'example': mean over examples "
        "of their mean token loss",
    )
    train_temperature: float = setting(1.0, "temperature of the training loss", gt=0)
    optimizer_spans: Literal["round", "run"] = setting(
        "round",
        "'round': optimizer and learning-rate schedule start anew each round; 'run': both are kept across rounds, and "
        "one step of the schedule is one round",
    )
    lr_scheduler_type: Literal["cosine", "linear", "constant"] = setting(
        "cosine", "learning-rate schedule after the warmup"
    )
    warmup_ratio: float = setting(
        0.03, "share of the steps (of the rounds, where the optimizer spans the run) used for warmup", ge=0, lt=1
    )
    warmup_steps: int = setting(
        0,
        "warmup steps (rounds, where the optimizer spans the run); 0 uses warmup_ratio",
        source="transformers",
        ge=0,
    )
    weight_decay: float = setting(0.0, "AdamW's decoupled weight decay", ge=0)
    adam_beta1: float = setting(0.9, "AdamW's beta1", source="torch", ge=0, lt=1)
    adam_beta2: float = setting(0.999, "AdamW's beta2", source="torch", ge=0, lt=1)
    adam_epsilon: float = setting(1e-8, "AdamW's epsilon", source="torch", gt=0)
    max_grad_norm: float = setting(1.0, "gradients are clipped to this norm", gt=0)
    max_tokens_per_batch: int = setting(
        2048,
        "tokens per micro-batch, padding included; affects speed and memory only, and is lowered for the rest of a "
        "round's training when memory runs out",
        ge=1,
    )
    gradient_checkpointing: bool = setting(False, "recompute activations in the backward pass: slower, less memory")
    max_skipped_steps: int = setting(
        3,
        "steps of a round's training that may be skipped, without an update, because loss or gradient is not finite "
        "(NaN or inf); one more stops the run",
        ge=0,
    )


@dataclass(frozen=True)
class RoundProgress:
    """Where in a run a training stands: round `number`, from 1, of `num_rounds`."""

    number: int = 1
    num_rounds: int = 1


@dataclass(frozen=True)
class TrainingReport:
    """What a training came to. Epoch 0 is the weights it started from."""

    examples: int
    tokens: int
    #: All steps of the schedule that were reached, the skipped ones among them.
    steps: int
    #: Steps that changed no weight, for their loss or gradient was no finite number.
    skipped: int
    epochs: int
    best_epoch: int
    #: Of the first step that was not skipped.
    loss_first: float
    #: Mean over the last steps that were not skipped, as many as an epoch has.
    loss_last: float
    #: Held-out reward at epoch 0, 1, ...; empty where there was no yardstick.
    validation_metric: tuple[float, ...]
    #: Processes that were left before the end included, from where each was taken up.
    seconds: float
    #: Tokens of one micro-batch in the end: lower than the setting where memory did not suffice.
    max_tokens_per_batch: int
    #: Share of the trained weights whose bfloat16 image changed; near 0 it taught a bfloat16 sampler nothing.
    bf16_changed: float = 1.0


ValidationMetric = Callable[[], float]
#: Called with (steps done, steps in all, latest loss); the loss is NaN where the step was skipped.
OnStep = Callable[[int, int, float], None]


#: A training that is a run of its own.
ALONE = RoundProgress()


class Checkpoints(Protocol):
    """Where a training puts its state, so that another process can take it up again."""

    @property
    def latest(self) -> Path | None:
        """Folder that an earlier process's `save` of this same training left; None to begin anew."""
        ...

    def due(self) -> bool:
        """Whether to save now; asked after every step and every yardstick."""
        ...

    def save(self, write: Callable[[Path], None]) -> None:
        """Calls `write` with an empty folder and makes durable what it wrote."""
        ...


class Trainer(Protocol):
    def fit(
        self,
        examples: Sequence[TrainingExample],
        training: TrainingConfig,
        seed: str,
        validation_metric: ValidationMetric | None = None,
        on_step: OnStep | None = None,
        round_progress: RoundProgress = ALONE,
        checkpoints: Checkpoints | None = None,
    ) -> TrainingReport:
        """Trains the live model in place and leaves it at the best epoch.

        With `checkpoints` it goes on from `latest`, whatever weights are live, and comes to the same weights, report
        (but for its seconds) and optimizer as if it had never been left. A state of other examples, settings, seed or
        model is not taken up: the training begins anew.

        Raises:
            ModelError: more than `max_skipped_steps` steps had a loss or gradient that is no finite number, or all
                had, or memory does not suffice for a single example. The weights are those before that step.
        """
        ...

    def load(self, weights: str | Path) -> None:
        """Puts saved weights into the live model; an optimizer that lived on is gone, for its state was of others."""
        ...

    def save(self, folder: Path) -> None:
        """Writes the live model so that plain `from_pretrained` loads it; of an adapter only the adapter."""
        ...

    def save_merged(self, folder: Path) -> None:
        """The same as one whole model, for whoever answers from a copy of it."""
        ...

    def move(self, device: str) -> None:
        """Takes the live model, and an optimizer that lives on, to another device."""
        ...

    def close(self) -> None:
        """Gives back what it holds besides the model."""
        ...

    def save_state(self, folder: Path) -> None:
        """Writes what a later round needs besides the weights: the optimizer, where one lives on across rounds.

        Nothing is written where none does.
        """
        ...

    def load_state(self, folder: Path) -> None:
        """Takes back what `save_state` wrote, or its nothing. To be called after `load`, which clears it.

        Raises:
            ModelError: it belongs to another model, or cannot be read.
        """
        ...


def learning_rate_factor(step: int, total: int, training: TrainingConfig) -> float:
    """What the peak learning rate is multiplied by at `step` (from 0) of `total`."""
    warmup = training.warmup_steps or math.ceil(training.warmup_ratio * total)
    if step < warmup:
        # Over a run it rises from exactly 0, as SePT's does; within a round, where steps are few, none is wasted.
        return step / warmup if training.optimizer_spans == "run" else (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1, total - warmup)
    if training.lr_scheduler_type == "constant":
        return 1.0
    return 1.0 - done if training.lr_scheduler_type == "linear" else 0.5 * (1 + math.cos(math.pi * done))
