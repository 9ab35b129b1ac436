"""A model of three numbers, for tests and benchmarks: it can add, but has bad habits.

Asked "3+4?", it follows one of three habits: it gives the sum, a sum that is one too high, or no answer. All it can
learn is how likely it follows each. It needs no tensors and no download, and training improves it all the same.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from selftrain.errors import ModelError
from selftrain.types import Problem

RIGHT, ONE_OFF, SILENT = 0, 1, 2
HABITS = ("right", "one off", "silent")


def toy_problems(count: int, part: str = "train") -> list[Problem]:
    """Sums with references; the parts "train" and "test" have none in common."""
    first = 2 if part == "train" else 3
    pairs = [(a, b) for a in range(first, 400, 2) for b in range(1, 30)][:count]
    return [Problem(f"toy/{part}/{a}+{b}", f"What is {a}+{b}?", str(a + b)) for a, b in pairs]


@dataclass
class ToyModel:
    """One logit per habit."""

    logits: list[float] = field(default_factory=lambda: [0.0, 0.5, 0.0])

    def probabilities(self, temperature: float = 1.0) -> list[float]:
        top = max(self.logits)
        parts = [math.exp((logit - top) / temperature) for logit in self.logits]
        return [part / sum(parts) for part in parts]

    def say(self, habit: int, question: str) -> str:
        numbers = re.findall(r"\d+", question)
        if habit == SILENT or not numbers:
            return " I would rather not say."
        return f" #### {sum(map(int, numbers)) + (habit == ONE_OFF)}"

    def habit_of(self, question: str, text: str) -> int | None:
        """The habit that gives this text; None where none does."""
        return next((habit for habit in range(len(HABITS)) if self.say(habit, question).strip() == text.strip()), None)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "toy.json").write_text(json.dumps({"logits": self.logits}))

    @classmethod
    def load(cls, folder: Path) -> ToyModel:
        try:
            return cls(json.loads((folder / "toy.json").read_text())["logits"])
        except (OSError, KeyError, ValueError) as error:
            raise ModelError(f"{folder} holds no toy model: {error}") from error
