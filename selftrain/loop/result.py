"""What a run came to, for those who write Python."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selftrain.storage import RunFolder


@dataclass(frozen=True)
class Result:
    """`rounds` are the lines of rounds.jsonl, round 0 first."""

    output_dir: Path
    rounds: tuple[dict[str, Any], ...]
    best_round: int

    @property
    def best(self) -> Path:
        """Folder with the weights of the best round, for `from_pretrained`."""
        return self.output_dir / "best"

    @property
    def metrics(self) -> dict[int, dict[str, float]]:
        """Values by evaluated round: `result.metrics[2]["greedy"]`; of the first model, where there are several."""
        return self.metrics_of(self.rounds[0]["model"])

    def metrics_of(self, model: str) -> dict[int, dict[str, float]]:
        """The same of one model by name, or of several "aggregate"d, or by "majority"."""
        return {
            line["round"]: {name: one["value"] for name, one in line["metrics"].items()}
            for line in self.rounds
            if line["model"] == model and "metrics" in line
        }

    @property
    def samples(self) -> Any:
        """Every sample drawn for training, as a DuckDB relation: `.df()`, `.arrow()`, `.fetchall()`."""
        return RunFolder(self.output_dir).query("select * from samples")
