"""The cost of runs as tables, for a terminal and for the page docs/sizing.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from selftrain.sizing.assumptions import Assumptions
from selftrain.sizing.cost import Cost, cost_of, gpus_needed
from selftrain.sizing.plan import Plan
from selftrain.sizing.work import Work, work_of

COLUMNS = ("weights", "GPUs", "tokens sampled", "tokens trained on", "hours", "GPU-hours", "disk", "network")


def rows(plan: Plan, params: Sequence[float], gpus: Sequence[int], given: Assumptions) -> list[list[str]]:
    """A row of `COLUMNS` for each size and number of GPUs; what does not fit says what it needs."""
    works = work_of(plan, given.question_tokens, given.completion_tokens, given.share_right)
    found = []
    for one in params:
        models = [one] * len(plan.models)
        needed = gpus_needed(models, given)
        for count in gpus:
            if count < needed:
                found.append([short(one), f"{count}", "", "", "", f"needs {needed} GPUs", "", ""])
                continue
            cost = cost_of(plan, models, count, given, works)
            found.append([
                short(one), f"{count}", short(cost.sampled_tokens), short(cost.trained_tokens), f"{cost.hours:,.3g}",
                f"{cost.gpu_hours:,.3g}", as_bytes(kept(cost)), as_bytes(cost.network),
            ])  # fmt: skip
    return found


def markdown(columns: Sequence[str], table: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (columns, ["---"] * len(columns), *table)]


def told(cost: Cost) -> list[str]:
    """What a run costs, line by line."""
    lines = [f"{'':<22}{'answers':>12}{'judged':>12}{'scored':>12}{'trained on':>12}"]
    for name, work in cost.work.items():
        numbers = (work.answers, work.graded, work.scored, work.trained)
        lines.append(f"{name:<22}" + "".join(f"{number:>12,.0f}" for number in numbers))
    lines += ["", f"{'tokens sampled':<22}{short(cost.sampled_tokens):>12}",
              f"{'tokens trained on':<22}{short(cost.trained_tokens):>12}", ""]  # fmt: skip
    lines += [f"{name:<22}{seconds / 3600:>12,.2f} h" for name, seconds in cost.seconds.items() if seconds]
    lines += [f"{'together':<22}{cost.hours:>12,.2f} h, {cost.gpu_hours:,.2f} GPU-hours", ""]
    lines += [f"{name:<22}{as_bytes(size):>12}" for name, size in cost.disk.items()]
    return [*lines, f"{'network':<22}{as_bytes(cost.network):>12}"]


def as_data(cost: Cost) -> dict[str, Any]:
    """The same for programs."""
    return {
        "hours": cost.hours, "gpu_hours": cost.gpu_hours, "sampled_tokens": cost.sampled_tokens,
        "trained_tokens": cost.trained_tokens, "seconds": dict(cost.seconds), "disk": dict(cost.disk),
        "network": cost.network, "work": {name: _counts(work) for name, work in cost.work.items()},
    }  # fmt: skip


def _counts(work: Work) -> dict[str, float]:
    return {"answers": work.answers} | {name: value for name, value in asdict(work).items() if name != "asked"}


def kept(cost: Cost) -> float:
    """Bytes on disk at the end."""
    return sum(size for name, size in cost.disk.items() if name != "to go on from")


def short(number: float) -> str:
    """7e9 as 7 B."""
    return _scaled(number, ("", " k", " M", " B", " T"))


def as_bytes(number: float) -> str:
    return _scaled(number, (" B", " kB", " MB", " GB", " TB", " PB"))


def _scaled(number: float, units: Sequence[str]) -> str:
    place = 0
    while number >= 999.5 and place + 1 < len(units):
        number, place = number / 1000, place + 1
    return f"{number:.3g}{units[place]}"
