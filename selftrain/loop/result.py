"""The result of a run, for Python."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selftrain.report.history import RunHistory
from selftrain.report.round_record import RoundRecord
from selftrain.report.terminal_table import as_plain_text, render_table
from selftrain.report.verdict import caveats, unsafe, verdict, warnings
from selftrain.report.visible import visible
from selftrain.storage import RunFolder


@dataclass(frozen=True, repr=False)
class Result:
    """What a run found. Shown, on a terminal or in a notebook, it is the verdict with its table.

    result.best_round                                  2
    result.metrics[2]["greedy"]                        0.573
    result.rounds[2].against_base["greedy"].p_value    1e-6
    """

    output_dir: Path
    history: RunHistory

    @property
    def rounds(self) -> Sequence[RoundRecord]:
        """By round and model, round 0 first."""
        return self.history.records

    @property
    def best_round(self) -> int:
        """0 is the base model, where no round did better."""
        return 0 if self.history.best is None else self.history.best.round

    @property
    def best(self) -> Path:
        """Folder with the weights of the best round, for `from_pretrained`."""
        return self.output_dir / "best"

    @property
    def metrics(self) -> dict[int, dict[str, float]]:
        """Metric values by evaluated round; of the first model, where there are several."""
        return self.metrics_of(self.history.models[0])

    def metrics_of(self, model: str) -> dict[int, dict[str, float]]:
        """The same of a model by name, or of the team: "aggregate" or "majority"."""
        return {
            record.round: {metric: estimate.value for metric, estimate in record.metrics.items()}
            for record in self.history.evaluated
            if record.model == model
        }

    @property
    def report(self) -> Path:
        """The page with all figures."""
        return self.output_dir / "report.html"

    @property
    def verdict(self) -> str:
        """Whether the run helped, after what makes that unsafe or what the collapse monitor reported."""
        return "\n".join([*unsafe(self.history), *warnings(self.history), verdict(self.history)])

    def __repr__(self) -> str:
        parts = [self.verdict, *caveats(self.history), f"weights: {self.best}", f"report: {self.report}"]
        return visible("\n".join([as_plain_text(render_table(self.history)), *parts]))

    def _repr_html_(self) -> str:
        """For notebooks."""
        table = as_plain_text(render_table(self.history))
        notes = "<br>".join(html.escape(visible(text)) for text in caveats(self.history))
        return (
            f"<p><b>{html.escape(visible(self.verdict))}</b></p><pre>{html.escape(visible(table))}</pre><p>{notes}</p>"
            f"<p><code>{html.escape(visible(str(self.report)))}</code></p>"
        )

    @property
    def samples(self) -> Any:
        """Every training sample, as a DuckDB relation: `.df()`, `.arrow()`, `.fetchall()`."""
        return RunFolder(self.output_dir).query("select * from samples")
