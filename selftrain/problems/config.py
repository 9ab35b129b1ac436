"""Settings of the data. Imports nothing heavy."""

from __future__ import annotations

from typing import Any

from selftrain.config import check_share_or_number, config_dataclass, setting


@config_dataclass
class DataConfig:
    """Which part of the data a run uses, and how its rows are read. Names are TRL's and transformers'."""

    dataset_config: str | None = setting(None, "configuration on the hub, where the dataset has several", source="TRL")
    dataset_train_split: str | None = setting(None, "training split; 'train' where there is one", source="TRL")
    dataset_test_split: str | None = setting(None, "evaluation split; 'test' where there is one", source="TRL")
    question_column: str | None = setting(None, "column of the question; by default recognised by its name")
    answer_column: str | None = setting(None, "column of the answer; by default recognised by its name", essential=True)
    id_column: str | None = setting(None, "column of ids; by default the position in the file")
    max_train_samples: int | None = setting(
        None,
        "train on at most this many problems",
        source="Hugging Face examples",
        ge=1,
        essential=True,
    )
    max_eval_samples: int | None = setting(
        None,
        "evaluate on at most this many problems",
        source="Hugging Face examples",
        ge=1,
        essential=True,
    )
    eval_size: float | None = setting(
        None,
        "evaluation problems held out where the data has no test split: a share, or from 1 up their number. By default "
        "a tenth, but at least 170, with which a gain of 10 points can be seen, and at most a third",
        gt=0,
    )
    allow_overlap: bool = setting(False, "run even where training problems are in the evaluation set")

    def check(self) -> None:
        check_share_or_number("eval_size", self.eval_size)

    @property
    def columns(self) -> dict[str, Any]:
        """The arguments of `load_problems` that say how rows are read."""
        names = ("dataset_config", "question_column", "answer_column", "id_column")
        return {name: getattr(self, name) for name in names}
