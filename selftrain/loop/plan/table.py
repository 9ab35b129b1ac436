"""The cost of runs as tables, for a terminal and for docs/sizing.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from selftrain.errors import SettingsError
from selftrain.loop.plan.assumptions import Assumptions
from selftrain.loop.plan.cost import Cost, Scale, cost_of, count_work
from selftrain.loop.plan.shape import RunShape
from selftrain.loop.plan.work import Work
from selftrain.models.adapter import AdapterConfig
from selftrain.report.formatting import as_bytes, short

COLUMNS = ("weights", "trained", "GPUs", "tokens sampled", "tokens trained on", "hours", "GPU-hours", "disk", "network")
_TRAINED = {"all": AdapterConfig(), "LoRA": AdapterConfig(use_peft=True)}
_TRAINED["QLoRA"] = AdapterConfig(use_peft=True, load_in_4bit=True)


def rows(shape: RunShape, params: Sequence[float], gpus: Sequence[int], given: Assumptions) -> list[list[str]]:
    """Rows of `COLUMNS` for each model size, trained in the first way that fits on a GPU, and number of GPUs."""
    works, found = count_work(shape, given), []
    for weights in params:
        for trained, adapter in _TRAINED.items():
            how = replace(shape, adapter=adapter)
            scales = [Scale(params=(weights,) * len(shape.models), gpus=count, assumptions=given) for count in gpus]
            try:
                costs = [cost_of(how, scale, works) for scale in scales]
            except SettingsError as error:
                found.append([short(weights), trained, error.found, *[""] * (len(COLUMNS) - 3)])
                continue
            for cost in costs:
                tokens = [short(cost.sampled_tokens), short(cost.trained_tokens)]
                hours = [f"{cost.hours:,.3g}", f"{cost.gpu_hours:,.3g}"]
                sizes = [as_bytes(cost.kept_bytes), as_bytes(cost.network)]
                found.append([short(weights), trained, f"{cost.gpus}", *tokens, *hours, *sizes])
            break
    return found


def markdown(columns: Sequence[str], table: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (columns, ["---"] * len(columns), *table)]


def as_text(cost: Cost) -> list[str]:
    """What a run costs, line by line."""
    lines = [f"{'':<22}{'responses':>12}{'graded':>12}{'scored':>12}{'trained on':>12}"]
    for name, work in cost.work.items():
        counts = _counts(work)
        shown = (counts["responses"], counts["graded"], counts["scored"], counts["trained"])
        lines.append(f"{name:<22}" + "".join(f"{number:>12,.0f}" for number in shown))
    lines += ["", f"{'tokens sampled':<22}{short(cost.sampled_tokens):>12}"]
    lines += [f"{'tokens trained on':<22}{short(cost.trained_tokens):>12}", ""]
    lines += [f"{name:<22}{seconds / 3600:>12,.2f} h" for name, seconds in cost.seconds.items() if seconds]
    lines += [f"{'total':<22}{cost.hours:>12,.2f} h, {cost.gpu_hours:,.2f} GPU-hours", ""]
    lines += [f"{name:<22}{as_bytes(size):>12}" for name, size in cost.disk.items()]
    return [*lines, f"{'network':<22}{as_bytes(cost.network):>12}"]


def as_data(cost: Cost) -> dict[str, Any]:
    """The same as JSON data."""
    return {
        "hours": cost.hours,
        "gpu_hours": cost.gpu_hours,
        "sampled_tokens": cost.sampled_tokens,
        "trained_tokens": cost.trained_tokens,
        "seconds": dict(cost.seconds),
        "disk": dict(cost.disk),
        "network": cost.network,
        "work": {name: _counts(work) for name, work in cost.work.items()},
    }


def _counts(work: Work) -> dict[str, float]:
    names = ("responses", "graded", "scored", "scored_tokens", "trained", "trained_tokens")
    return {name: getattr(work, name) for name in names}
