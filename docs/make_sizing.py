"""Generates docs/sizing.md from the code that sizes runs: `python docs/make_sizing.py`. A test keeps the two equal."""

from __future__ import annotations

from pathlib import Path

from selftrain.cli.commands.size import SizeConfig
from selftrain.cli.sizing import plan_of, run_settings
from selftrain.config import settings_of
from selftrain.methods import METHODS
from selftrain.sizing import Assumptions, Plan
from selftrain.sizing.table import COLUMNS, markdown, rows

PARAMS, GPUS = (1e6, 1e8, 1e9, 7e9, 7e10), (1, 8, 64, 512)
RECIPES = ("rest_em_math.yaml", "rest_em_apps.yaml", "sept_v1.yaml", "sept_v2.yaml", "pst.yaml")

HEADER = """# What a run will cost

Generated from the code by `python docs/make_sizing.py`.

```bash
selftrain size rest-em --params 1.5e9 --recipe recipes/rest_em_math.yaml
selftrain size sept --params 7.6e9 --gpus 8 --set bf16=true num_rounds=100 --completion_tokens 900
```

takes a run's own settings and prints how many responses are sampled, graded, scored and trained on and for what, how
long that takes, and what it leaves on disk. It loads no model and takes seconds. Every assumption is a setting (below):
measure `completion_tokens` and `share_right` in a run of one round on 50 problems, and set them.

**Counts are exact** where nothing depends on the responses: the methods, the collapse monitor and the evaluation run as
they are, on models that only count. What ReST-EM keeps depends on `share_right`; a run that the monitor stops costs
less; with `early_stopping: first_drop` the figure is an upper bound.

**Hours are an estimate.** Shares of a GPU's peak are assumed, not measured. A decoding step takes the longest of
reading the weights, the arithmetic, and a minimum time for launching it; a batch takes as many steps as its longest
response has tokens; a call takes as many waves of batches as the busiest GPU computes. Reading the KV cache, loading,
and building prompts are left out. Against a simulation with known lengths the waves are right within 7 % from 1 to 512
GPUs. They are too high by a fifth just above a whole number of waves, and too low by more than half where there are as
few batches as GPUs and a batch is a single response (`tests/sizing/test_cost.py`).

**Several GPUs** were never measured. The same work is spread out: whole copies of the model sample in parallel
(`--ray`), processes share the micro-batches of a step (`--training_processes`; a model that needs several GPUs for its
training cannot be trained), and new weights are sent to every other machine after each training. Where hours hardly
fall with more GPUs, a call has too few batches for them: raise `problems_per_round` or `num_generations`, or lower
`sampling_batch_size`. Idle GPUs cost as much as busy ones.

In methods of many small rounds most tokens may be those of the probe and of the evaluations, not those that are trained
on: save with `probe_rounds`, `eval_rounds` and `num_generations_eval`.
"""


def plan(method: str, recipe: str | None = None, *changes: str) -> Plan:
    default = SizeConfig(method=method)
    settings = run_settings(method, recipe, changes)
    return plan_of(settings, problems=default.problems, eval_problems=default.eval_problems)


def methods() -> list[str]:
    """A table of sizes for every method."""
    lines = []
    for name in METHODS:
        one = plan(name, None, "bf16=true", "gradient_checkpointing=true")
        several = f", {len(one.models)} models of this size each" if len(one.models) > 1 else ""
        lines += [f"## {name}{several}", ""]
        lines += [*markdown(COLUMNS, rows(one, PARAMS, GPUS, Assumptions())), ""]
    return lines


def recipes() -> list[str]:
    """The cost of the recipes, for models of 1 B weights."""
    table = []
    for name in RECIPES:
        path = Path(__file__).parents[1] / "recipes" / name
        method = next(one for one in METHODS if f"selftrain {one} " in path.read_text("utf-8").splitlines()[0])
        (row,) = rows(plan(method, str(path)), [1e9], [1], Assumptions())
        table.append([f"[{name}](../recipes/{name})", *row[2:5], row[6]])
    columns = ("recipe", "tokens sampled", "tokens trained on", "hours", "disk")
    return [*markdown(columns, table), ""]


def sizing() -> str:
    default = SizeConfig(method="rest-em")
    lines = [
        HEADER,
        "The tables are for each method's defaults with `bf16` and `gradient_checkpointing`, "
        f"{default.problems:,} training and {default.eval_problems:,} evaluation problems, and the assumptions below. "
        "GPU-hours count all GPUs for the whole run; disk is what is left at its end.",
        "",
        *methods(),
        "## The recipes, as if each model had 1 B weights, on one GPU",
        "",
        *recipes(),
        "## Assumptions",
        "",
        *markdown(
            ("setting", "default", "source", "meaning"),
            [[f"`{s.name}`", f"{s.default:g}", s.source, s.help] for s in settings_of(Assumptions)],
        ),
    ]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("sizing.md").write_text(sizing(), encoding="utf-8")
