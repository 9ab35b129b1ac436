"""The arguments of `open_grader`, in a form that travels to workers."""

from __future__ import annotations

from dataclasses import dataclass

from selftrain.graders import Grader, open_grader
from selftrain.graders.code.config import CodeConfig


@dataclass(frozen=True)
class GraderSpec:
    """GraderSpec(names=("math",), weights=None, code=CodeConfig())"""

    names: tuple[str, ...]
    weights: tuple[float, ...] | None
    code: CodeConfig

    def open(self, programs_at_once: int | None = None) -> Grader:
        names = self.names[0] if len(self.names) == 1 else self.names
        return open_grader(names, reward_weights=self.weights, code=self.code, programs_at_once=programs_at_once)
