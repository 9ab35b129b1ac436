"""What a report is made from: the records of a run's rounds, and the decision which of them is the best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from selftrain.evaluation.results import Sweep
from selftrain.report.best_round import BestRound
from selftrain.report.formatting import is_accuracy
from selftrain.report.round_record import RoundRecord, ValidatedBy, read_rounds
from selftrain.storage import RunFolder
from selftrain.storage.typed_json import from_plain


@dataclass(frozen=True)
class RunHistory:
    """
    Args:
        records: by round and model, as in rounds.jsonl.
        best: None where there was nothing to choose.
        of_models: each record is another model that `selftrain eval` measured; there are no rounds.
    """

    records: Sequence[RoundRecord]
    best: BestRound | None = None
    of_models: bool = False

    @cached_property
    def models(self) -> list[str]:
        """In order of appearance, without what they are as a team."""
        return list(dict.fromkeys(record.model for record in self.records if not record.team))

    @cached_property
    def by_model(self) -> dict[str, list[RoundRecord]]:
        """Model -> its records by round."""
        found: dict[str, list[RoundRecord]] = {model: [] for model in self.models}
        for record in sorted(self.records, key=lambda record: record.round):
            if not record.team:
                found[record.model].append(record)
        return found

    @cached_property
    def evaluated(self) -> list[RoundRecord]:
        return [record for record in self.records if record.metrics]

    @property
    def sweeps(self) -> dict[str, Sweep]:
        """The base model by temperature, for each model where that was measured."""
        return {record.model: record.sweep for record in self.records if record.sweep is not None}

    @property
    def metrics(self) -> list[str]:
        return metrics_in(self.evaluated)

    @property
    def accuracies(self) -> list[str]:
        """The metrics to show first: greedy, pass@1, and pass@k and maj@k at the largest k."""

        def largest(kind: str) -> list[str]:
            ks = [int(metric.partition("@")[2]) for metric in self.metrics if metric.startswith(f"{kind}@")]
            return [f"{kind}@{max(ks)}"] if ks else []

        first = [metric for metric in ("greedy", "pass@1") if metric in self.metrics]
        return list(dict.fromkeys([*first, *largest("pass"), *largest("maj")]))

    @property
    def is_blind(self) -> bool:
        """Whether trained rounds were evaluated, and no evaluation problem has an answer to grade by."""
        return any(record.round for record in self.evaluated) and not self.accuracies

    @property
    def best_round(self) -> int | None:
        """The round kept as `best`, to be marked; None where there was none to choose."""
        return None if self.headline_round is None or self.best is None else self.best.round

    @property
    def headline_round(self) -> int | None:
        return None if self.best is None else self.best.headline_round

    @property
    def validated_by(self) -> ValidatedBy | None:
        return None if self.best is None else self.best.validated_by

    @property
    def score_name(self) -> str:
        """What the validation score is."""
        if self.validated_by == "consensus":
            return f"agreement with the consensus of the base model{'s' * (len(self.models) > 1)}"
        return "reward"

    @property
    def chosen_by(self) -> str:
        """How the best round was chosen, in words that follow "chosen as"."""
        if self.validated_by is None:
            return "the last one that trained: there are no validation problems to choose by"
        mean = ", the mean over the models" if len(self.models) > 1 else ""
        return f"the one with the highest {self.score_name} on the validation problems{mean}"


def read_history(folder: RunFolder, end: Mapping[str, Any] | None, *, of_models: bool = False) -> RunHistory:
    """
    Args:
        end: what the journal says of the end of the run, which has the decision; None of a run that goes on.

    Raises:
        RunError: a file of the run is not what this version writes.
    """
    best = None if end is None else from_plain(BestRound, end, "the end of the journal")
    return RunHistory(read_rounds(folder), best, of_models)


def metrics_in(records: Iterable[RoundRecord]) -> list[str]:
    return list(dict.fromkeys(metric for record in records for metric in record.metrics))


def accuracies_in(records: Iterable[RoundRecord]) -> list[str]:
    return [metric for metric in metrics_in(records) if is_accuracy(metric)]
