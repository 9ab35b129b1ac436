"""What a run is to do, as far as its cost goes."""

from __future__ import annotations

from dataclasses import dataclass

from selftrain.evaluation import EvalConfig
from selftrain.loop.collapse_monitor import MonitorConfig
from selftrain.methods.base import Method
from selftrain.training.base import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class Plan:
    """
    Plan(method=SePT(), learning=SePT.learning, evaluation=SePT.evaluation, watch=Watch(), models=("toy",),
         train=7372, validation=128, examined=500)

    Args:
        models: as many names as models learn.
        train, validation, examined: problems sampled for data, of D_val, and evaluated on.
        labelled: whether D_val is scored by its labels.
        one_by_one: whether each answer is judged by itself.
    """

    method: Method
    training: TrainingConfig
    evaluation: EvalConfig
    monitor: MonitorConfig
    models: tuple[str, ...]
    train: int
    validation: int
    examined: int
    labelled: bool = False
    scores_independently: bool = True
    num_fewshot: int = 0
    bf16: bool = False
    #: Answers computed at once.
    rows: int = 128

    @property
    def evaluated(self) -> list[int]:
        """Rounds: the untouched model, every so many, the last."""
        last = self.method.num_rounds
        return [n for n in range(last + 1) if n in (0, last) or n % self.evaluation.eval_rounds == 0]

    @property
    def probed(self) -> list[int]:
        """Rounds that ask the probe."""
        if not self.validation:
            return []
        return sorted({*self.evaluated, *range(0, self.method.num_rounds + 1, self.monitor.probe_rounds)})

    @property
    def problems_of_round(self) -> int:
        wanted = self.method.problems_per_round
        return self.train if wanted is None else min(wanted, self.train)

    @property
    def validation_passes(self) -> int:
        """How often a training asks all of D_val; with 'first_drop' at most."""
        measures = bool(self.validation) and self.labelled and self.training.early_stopping != "off"
        return (self.training.num_train_epochs + 1) * measures
