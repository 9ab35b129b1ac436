"""Whether the tensors in vLLM are those of the trainer: both sum them up with the same factors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from selftrain.engines.vllm.in_worker import projections
from selftrain.models.merging import merged_weight, merged_weights

#: How far a sum may be from the trainer's, as a share of the tensor's norm. One that is computed is rounded as the
#: layer rounds: ours, measured in docs/results/engines.md.
READ, COMPUTED = 1e-9, {"float32": 1e-5, "bfloat16": 1e-2}

#: By a tensor's name, those of one worker, as `in_worker.held` gives them.
Sums = Mapping[str, Mapping[str, Sequence[float]]]


class HeldTensors:
    """
    Args:
        model: the live one.
        dtype: vLLM's.
    """

    def __init__(self, model: Any, dtype: str) -> None:
        self._model, self._dtype = model, dtype
        self._limits = {"read": READ, "computed": COMPUTED[dtype]}
        #: Tensors and kinds of their sums. What the first start holds otherwise, vLLM keeps in another form.
        self._compared: set[tuple[str, str]] | None = None

    def shapes(self) -> dict[str, list[int]]:
        """For vLLM's process."""
        return {name: [*tensor.shape] for name, tensor in _tensors(self._model).items()}

    def compare(self, workers: Sequence[Sums]) -> tuple[bool, str]:
        """Whether the tensors of all workers are the trainer's, in words as well; the first time it is found out which
        of them can be compared.
        """
        found = self._differences(workers)
        if self._compared is None:
            self._compared = {one for one, far in found.items() if far <= self._limits[one[1]]}
        far = {one: found.get(one, math.inf) for one in self._compared}
        wrong = [one for one in far if not far[one] <= self._limits[one[1]]]
        if not wrong:
            return True, f"{self._count(far)} of {len(self.shapes())} tensors are compared and equal"
        worst = max(wrong, key=far.__getitem__)
        return False, f"{self._count(wrong)} tensors are not the trainer's, {worst[0]} by {far[worst]:.2g} of its norm"

    @staticmethod
    def _count(found: Iterable[tuple[str, str]]) -> int:
        return len({name for name, _ in found})

    def _differences(self, workers: Sequence[Sums]) -> dict[tuple[str, str], float]:
        """Of sums from the trainer's, as a share of the tensor's norm; the largest of all workers'."""
        import torch

        found: dict[tuple[str, str], float] = {}
        for name, tensor in _tensors(self._model).items():
            held = [(kind, theirs) for sums in workers for kind, theirs in sums.get(name, {}).items()]
            if not held:
                continue
            ours = tensor.to(getattr(torch, self._dtype))
            own, norm = projections(ours), ours.float().norm().item() or 1.0
            for kind, theirs in held:
                for far in (abs(one - other) / norm for one, other in zip(own, theirs, strict=True)):
                    before = found.get((name, kind), 0.0)
                    found[name, kind] = before if far <= before else far  # also what is not a number
        return found


def _tensors(model: Any) -> dict[str, Any]:
    """As they are handed over; a head that shares the embedding's weights as well, since vLLM may keep a copy of it."""
    head = model.get_output_embeddings()
    named = {f"{name}.weight": merged_weight(module) for name, module in model.named_modules() if module is head}
    found = merged_weights(model) | named
    return {name: one for name, one in found.items() if one.is_floating_point() and one.dim()}
