"""What vLLM's workers do for this package: they take new weights, and say which they have. Another Python runs it."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

#: Sums of each tensor, each with other factors: a change that one of them hardly shows is seen by another.
SUMS = 4


def reload_weights(worker: Any, folder: str) -> None:
    """From a model's folder."""
    worker.reload_weights(weights_path=folder)
    for layer in worker.get_model().modules():
        # On a CPU matrices are packed after loading. vLLM 0.32.0 packs those that were loaded again, and so not an
        # output head that shares the embedding's weights.
        if hasattr(layer, "cpu_linear") and getattr(layer, "weight", None) is not None and layer.weight.numel():
            layer.quant_method.process_weights_after_loading(layer)


def held(worker: Any, shapes: dict[str, list[int]]) -> dict[str, dict[str, list[float]]]:
    """Sums of the tensors in a worker's model, by their names and shapes in a model's file.

    Returns:
        "read": of a tensor that lies there as in the file, or as one of several joined by rows; "computed": of a matrix
        that a CPU has packed, by what its layer makes of `factors`. Neither where it is sharded or kept otherwise.
    """
    model, found = worker.get_model(), dict[str, dict[str, list[float]]]()
    layers = dict(model.named_modules(remove_duplicate=False))
    for name, (_, *columns) in shapes.items():
        path, kind, rows, total = place_of(name, shapes, getattr(model, "packed_modules_mapping", {}))
        layer: Any = layers.get(path)
        sums = found.setdefault(name, {})
        # A vocabulary is padded.
        most = math.inf if hasattr(layer, "org_vocab_size") else total
        tensor = getattr(layer, kind, None)
        if tensor is not None and [*tensor.shape[1:]] == columns and total <= len(tensor) <= most:
            sums["read"] = projections(tensor[rows])
        inputs: Any = getattr(layer, "input_size_per_partition", getattr(layer, "embedding_dim", None))
        if kind == "weight" and hasattr(layer, "cpu_linear") and [inputs] == columns:
            with suppress(Exception):  # then it is not among those that are compared
                made = layer.quant_method.apply(layer, factors(inputs)[None].to(worker.model_config.dtype))[0]
                if total <= len(made) <= most:
                    sums["computed"] = weighted_sums(made[rows])
    return found


def place_of(name: str, shapes: dict[str, list[int]], joined: dict[str, list[str]]) -> tuple[str, str, slice, int]:
    """The module and attribute that hold a tensor, its rows there, and how many rows these have to have in all."""
    path, _, kind = name.rpartition(".")
    above, dot, own = path.rpartition(".")
    whole, parts = next(((whole, parts) for whole, parts in joined.items() if own in parts), (own, [own]))
    sizes = [shapes.get(f"{above}{dot}{part}.{kind}", [0])[0] for part in parts]
    first = sum(sizes[: parts.index(own)])
    return above + dot + whole, kind, slice(first, first + sizes[parts.index(own)]), sum(sizes)


def projections(tensor: Any) -> list[float]:
    """A tensor's elements, each times factors of its row and of its column, summed in float64."""
    import torch

    matrix = tensor.detach().reshape(len(tensor), -1)
    columns, many = factors(matrix.shape[1], tensor.device), max(1, 2**22 // matrix.shape[1])
    # Products first: a multiplication of matrices may be less exact on a GPU.
    rows = [(part.float() * columns).sum(-1, dtype=torch.float64) for part in matrix.split(many)]
    return weighted_sums(torch.cat(rows))


def weighted_sums(rows: Any) -> list[float]:
    numbers = [factors(len(rows), rows.device, first=one * 10**7) for one in range(1, SUMS + 1)]
    return [(rows.double() * one).sum().item() for one in numbers]


def factors(count: int, device: Any = "cpu", *, first: int = 0) -> Any:
    """Numbers in no order, between -1 and 1, none of them 0, of so few bits that bfloat16 holds them exactly."""
    import torch

    numbers = torch.arange(first, first + count, device=device)
    # Squares, so that factors that begin elsewhere are other ones, and not the same ones shifted.
    return ((numbers * numbers * 2654435761 >> 16) % 128 * 2 - 127).float() / 128
