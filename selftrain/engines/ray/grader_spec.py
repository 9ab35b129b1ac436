"""What `open_grader` is called with, in a form that travels."""

from __future__ import annotations

from dataclasses import dataclass

from selftrain.graders import Grader, open_grader
from selftrain.graders.code.config import CodeConfig


@dataclass(frozen=True)
class GraderSpec:
    """What `open_grader` is called with, in a form that travels."""

    names: tuple[str, ...]
    weights: tuple[float, ...] | None
    code: CodeConfig

    def open(self, programs_at_once: int | None = None) -> Grader:
        names = self.names[0] if len(self.names) == 1 else self.names
        return open_grader(names, reward_weights=self.weights, code=self.code, programs_at_once=programs_at_once)
